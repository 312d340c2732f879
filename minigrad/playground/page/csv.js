// Tables that a user drops on the page: CSV files, as RFC 4180 and spreadsheets write them.
//
// readCsv makes records of text, and csvColumns numbers or names of each column. What is wrong is
// named with its line and column; nothing is guessed and nothing left out without a note.

export const CSV_LIMITS = Object.freeze({ characters: 2_000_000, rows: 5_000, columns: 50, cell: 1_000 });
const MISSING = /^(|\?|-|na|n\/a|nan|null|none)$/i;
const MOST_CLASSES = 4;
const MOST_INPUTS = 7;
const LONGEST_NAME = 40; // of a column

/** What is wrong with a table, where (`line` and `column`, from 1, or null) and what to do. */
export class CsvError extends Error {
  constructor(message, line = null, column = null) {
    super(message);
    this.name = "CsvError";
    this.line = line;
    this.column = column;
  }
}

// Records

/** The text of a CSV file -> {separator, records: [{line, fields: [text]}]}: no blank lines, the
 * same number of fields in each. The separator is the first of ; tab , that stands in every record.
 * Throws a CsvError for anything else. */
export function readCsv(text) {
  text = String(text).replace(/^\uFEFF/, "");
  if (text.length > CSV_LIMITS.characters) {
    throw new CsvError(`the file has ${text.length} characters, and may have ${CSV_LIMITS.characters}: take a part of its rows`);
  }
  const zero = text.search(/[\0\uFFFD]/);
  if (zero >= 0) {
    const line = text.slice(0, zero).split(/\r\n|\r|\n/).length;
    throw new CsvError(`line ${line}: the file is not text in UTF-8: save it as "CSV UTF-8"`, line);
  }
  const separator = separatorOf(text);
  const records = [...recordsOf(text, separator)];
  if (records.length === 0) throw new CsvError("the file is empty");
  const { length } = records[0].fields;
  const different = records.find(({ fields }) => fields.length !== length);
  if (different) {
    throw new CsvError(
      `line ${different.line} has ${countOf(different.fields.length, "field")}, and line ${records[0].line} has ${length}: ` +
        "each line needs as many; a field that holds the separator stands in quotes",
      different.line,
    );
  }
  return { separator, records };
}

function separatorOf(text) {
  const tries = [";", "\t", ","].map((separator) => ({ separator, records: attemptCsv(text, separator) }));
  const whole = ({ records }) => records.length > 0 && records.every(({ fields }) => fields.length > 1);
  const some = ({ records }) => records.length > 0 && records[0].fields.length > 1;
  return (tries.find(whole) ?? tries.find(some) ?? { separator: "," }).separator;
}

function attemptCsv(text, separator) {
  try {
    return [...recordsOf(text, separator)];
  } catch {
    return []; // what is wrong is said when it is read by the separator that is chosen
  }
}

function* recordsOf(text, separator) {
  // To the end of a field that is not in quotes.
  const plain = new RegExp(`[^${separator}\r\n]*`, "y");
  const ending = /\r\n|\r|\n/y;
  let [at, line, count] = [0, 1, 0];
  while (at < text.length) {
    const record = { line, fields: [] };
    for (;;) {
      const opened = quoteOpening(text, at, separator);
      let field;
      if (opened !== null) ({ field, at, line } = quotedField(text, opened, separator, line, record.fields.length + 1));
      else {
        plain.lastIndex = at;
        [field] = plain.exec(text);
        at += field.length;
        const column = record.fields.length + 1;
        if (field.includes('"')) {
          throw new CsvError(
            `line ${line}, column ${column}: a quote inside of a field that is not in quotes: put the field in quotes, and write each quote in it twice`,
            line,
            column,
          );
        }
      }
      record.fields.push(checkedField(field, line, record.fields.length + 1));
      if (text[at] !== separator) break;
      at += 1;
    }
    ending.lastIndex = at;
    at += ending.exec(text)?.[0].length ?? 0;
    line += 1;
    const blank = record.fields.length === 1 && record.fields[0].trim() === "";
    if (blank) continue;
    // One more than rows: the names of the columns.
    if (++count > CSV_LIMITS.rows + 1) {
      throw new CsvError(`there are more than ${CSV_LIMITS.rows} rows: take a part of them`, record.line);
    }
    yield record;
  }
}

/** Where a quoted field that starts here opens, after spaces; null for a plain one. */
function quoteOpening(text, at, separator) {
  while (text[at] === " " && separator !== " ") at += 1;
  return text[at] === '"' ? at : null;
}

function quotedField(text, at, separator, line, column) {
  const start = line;
  let field = "";
  for (at += 1; ; at += 2) {
    const end = text.indexOf('"', at);
    if (end < 0) {
      throw new CsvError(`line ${start}, column ${column}: a quote is opened and never closed`, start, column);
    }
    field += text.slice(at, end);
    at = end;
    if (text[end + 1] !== '"') break;
    field += '"';
  }
  line += field.split(/\r\n|\r|\n/).length - 1;
  at += 1;
  while (text[at] === " ") at += 1;
  if (at < text.length && ![separator, "\r", "\n"].includes(text[at])) {
    throw new CsvError(
      `line ${line}, column ${column}: after a closing quote there is more text: write a quote inside of a field twice`,
      line,
      column,
    );
  }
  return { field, at, line };
}

function checkedField(field, line, column) {
  if (field.length > CSV_LIMITS.cell) {
    throw new CsvError(`line ${line}, column ${column}: a field has ${field.length} characters, and may have ${CSV_LIMITS.cell}`, line, column);
  }
  if (column > CSV_LIMITS.columns) {
    throw new CsvError(`line ${line} has more than ${CSV_LIMITS.columns} columns: leave some out`, line, column);
  }
  return field;
}

// Columns

/** The text of a CSV file -> {columns: [{name, cells: [text], numbers: [number or NaN] or null}],
 * lines: the line of each row, target: the column to predict unless the user chooses, comma: whether
 * decimals are written with a comma}.
 *
 * `numbers` is null for a column of names. Missing values are NaN.
 * Throws a CsvError for anything else, also if there are fewer than two columns or rows. */
export function csvColumns(text) {
  const { separator, records } = readCsv(text);
  const width = records[0].fields.length;
  if (width < 2) {
    throw new CsvError("there is one column only, and at least two are needed, inputs and what to predict; they are separated by , ; or tab");
  }
  const comma = separator === ";" && decimalComma(records);
  const header = hasHeader(records, comma);
  const rows = header ? records.slice(1) : records;
  if (rows.length < 2) throw new CsvError("there is one row of data only, and at least two are needed");
  if (rows.length > CSV_LIMITS.rows) throw new CsvError(`there are more than ${CSV_LIMITS.rows} rows: take a part of them`);
  const named = columnNames(header ? records[0].fields : records[0].fields.map(() => ""));
  const columns = named
    .map((name, k) => csvColumn(name, k + 1, rows, comma))
    // A separator at the end of each line makes a last column of nothing.
    .filter(({ name, cells }, k) => k < width - 1 || header && records[0].fields[k].trim() !== "" || cells.some((cell) => cell !== ""));
  const lines = rows.map(({ line }) => line);
  return { columns, lines, comma, target: usualTarget(columns) };
}

const WITH_POINT = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const WITH_COMMA = /^[+-]?(\d+,?\d*|,\d+)(e[+-]?\d+)?$/i;

/** The number that a field is, as written in it, or NaN. */
function csvNumber(cell, comma) {
  const text = cell.trim();
  if (!(comma ? WITH_COMMA : WITH_POINT).test(text)) return NaN;
  return Number(comma ? text.replace(",", ".") : text);
}

/** Whether decimals have a comma; both a point and a comma in one file is refused. */
function decimalComma(records) {
  let [withComma, withPoint] = [null, null];
  for (const { line, fields } of records) {
    for (const cell of fields.map((each) => each.trim())) {
      if (cell.includes(",") && WITH_COMMA.test(cell)) withComma ??= { line, cell };
      else if (cell.includes(".") && WITH_POINT.test(cell)) withPoint ??= { line, cell };
    }
  }
  if (withComma && withPoint) {
    const { line } = withPoint;
    throw new CsvError(`line ${line}: ${withPoint.cell} has a decimal point, and ${withComma.cell} in line ${withComma.line} a comma: write all with one of them`, line);
  }
  return withComma !== null;
}

/** Whether the first record holds names: no field of it is a number, and not all of those that stand over
 * numbers are missing values. */
function hasHeader([first, ...rest], comma) {
  if (!first.fields.every((cell) => Number.isNaN(csvNumber(cell, comma)))) return false;
  const over = first.fields.filter((_, k) => rest.some(({ fields }) => !Number.isNaN(csvNumber(fields[k], comma))));
  return rest.length > 0 && (over.length ? over : first.fields).some((cell) => !MISSING.test(cell.trim()));
}

function columnNames(fields) {
  const taken = new Set();
  return fields.map((field, k) => {
    const whole = [...field.trim().replace(/[\p{C}\s]+/gu, " ")];
    const plain = (whole.length > LONGEST_NAME ? `${whole.slice(0, LONGEST_NAME - 1).join("")}\u2026` : whole.join("")) || `column ${k + 1}`;
    let name = plain;
    for (let n = 2; taken.has(name); n++) name = `${plain} (${n})`;
    taken.add(name);
    return name;
  });
}

function csvColumn(name, position, rows, comma) {
  const cells = rows.map(({ fields }) => fields[position - 1].trim());
  const numbers = cells.map((cell) => csvNumber(cell, comma));
  const large = numbers.findIndex((x) => Math.abs(x) > 1e30);
  if (large >= 0) {
    const { line } = rows[large];
    throw new CsvError(`line ${line}, column ${position} (${name}): ${cells[large].slice(0, 40)} is too large to train on`, line, position);
  }
  return { name, position, cells, numbers: numbers.every(Number.isNaN) ? null : numbers };
}

/** A column of 2 to 4 names, if there is just one; else the last. */
function usualTarget(columns) {
  const classes = columns.filter(({ cells, numbers }) => numbers === null && isClasses(cells));
  return columns.indexOf(classes.length === 1 ? classes[0] : columns.at(-1));
}

function isClasses(cells) {
  const { size } = new Set(cells.filter((cell) => !MISSING.test(cell)));
  return size >= 2 && size <= MOST_CLASSES;
}

// Inputs and what to predict

/** Numbers to train on, of what csvColumns made.
 *
 * `target`: the index of the column to predict. Inputs are the first 7 others that hold numbers.
 * -> {columns: [name], x: [[number]] (rows x inputs), y: [number], classes: 0 for a number to
 * predict, else 2 to 4, classNames, target: its name, notes: [sentence]}.
 *
 * A column of names, or of up to 4 different whole numbers, is classes, in alphabetical or
 * numerical order; other numbers are predicted as numbers. Rows in which a value is missing are left
 * out, with a note.
 * Throws a CsvError for a column that cannot be used so. */
export function csvExamples(table, target = table.target) {
  const aim = table.columns[target];
  const others = table.columns.filter((each) => each !== aim);
  const numeric = others.filter(({ numbers }) => numbers !== null);
  const used = numeric.slice(0, MOST_INPUTS);
  const notes = others.filter(({ numbers }) => numbers === null).map(({ name }) => `${name} holds no numbers, and is not an input`);
  if (numeric.length > MOST_INPUTS) notes.push(`only the first ${MOST_INPUTS} columns of numbers are inputs`);
  if (used.length === 0) throw new CsvError(`no other column than ${aim.name} holds numbers, and inputs are numbers`);
  for (const each of used) checkedNumbers(each, table);
  const found = targetOf(aim, table);
  const complete = table.lines.map((_, k) => !MISSING.test(aim.cells[k]) && used.every(({ numbers }) => !Number.isNaN(numbers[k])));
  const rows = [...complete.keys()].filter((k) => complete[k]);
  const left = [...complete.keys()].filter((k) => !complete[k]);
  if (rows.length < 2) throw new CsvError("there are fewer than two rows without missing values");
  if (left.length) {
    const where = listOf(left.slice(0, 5).map((k) => String(table.lines[k]))) + (left.length > 5 ? " ..." : "");
    notes.push(`${countOf(left.length, "row")} with missing values left out: line${left.length > 1 ? "s" : ""} ${where}`);
  }
  return {
    columns: used.map(({ name }) => name),
    x: rows.map((k) => used.map(({ numbers }) => numbers[k])),
    y: rows.map((k) => found.values[k]),
    classes: found.classNames.length,
    classNames: found.classNames,
    target: aim.name,
    notes,
  };
}

/** Of a column of numbers, each field is a number or missing. */
function checkedNumbers({ name, position, cells, numbers }, { lines, comma }) {
  const k = cells.findIndex((cell, row) => Number.isNaN(numbers[row]) && !MISSING.test(cell));
  if (k < 0) return;
  const decimal = comma ? "a decimal comma and nothing else" : "a decimal point and nothing else";
  throw new CsvError(
    `line ${lines[k]}, column ${position} (${name}): "${cells[k].slice(0, 40)}" is not a number as the others are: write it with ${decimal}, or leave it empty`,
    lines[k],
    position,
  );
}

function targetOf(aim, table) {
  const there = aim.cells.filter((cell) => !MISSING.test(cell));
  const different = new Set(aim.numbers ? aim.numbers.filter((x) => !Number.isNaN(x)) : there);
  const whole = aim.numbers !== null && [...different].every(Number.isInteger);
  const asNames = aim.numbers === null;
  if (!asNames) checkedNumbers(aim, table);
  if (asNames || (whole && different.size <= MOST_CLASSES)) {
    const classNames = asNames ? [...new Set(there)].sort(byCodePoint) : [...different].sort((a, b) => a - b);
    if (classNames.length < 2 || classNames.length > MOST_CLASSES) {
      throw new CsvError(
        `column ${aim.position} (${aim.name}) has ${countOf(classNames.length, "different value")}, and there can be 2 to ${MOST_CLASSES} classes: choose another column to predict`,
        null,
        aim.position,
      );
    }
    const of = asNames ? aim.cells : aim.numbers;
    return { values: of.map((cell) => classNames.indexOf(cell)), classNames: classNames.map(String) };
  }
  return { values: aim.numbers, classNames: [] };
}

/** The order of Python's sorted, which is by code points; JavaScript's is by UTF-16 units. */
function byCodePoint(a, b) {
  const [one, other] = [[...a], [...b]].map((text) => text.map((each) => each.codePointAt(0)));
  const k = one.findIndex((code, at) => code !== other[at]);
  return k < 0 ? one.length - other.length : one[k] - (other[k] ?? -1);
}

const countOf = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
const listOf = (texts) => (texts.length > 1 ? `${texts.slice(0, -1).join(", ")} and ${texts.at(-1)}` : texts[0]);
