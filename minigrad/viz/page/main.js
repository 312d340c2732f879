// The page of an explanation
import { mountExplanation } from "./explanation.js";

const dataIn = (id) => JSON.parse(document.getElementById(id).textContent);
window.explanation = mountExplanation(document.body, dataIn("structure"), dataIn("numbers"));
document.documentElement.dataset.ready = "yes";
