// Lessons beside the page.

export class LessonPanel {
  constructor(host, on) { Object.assign(this, { host, on }); }
  open() {}
  frame() {}
}
