/**
 * Counts what a job does, from outside of the Worker: an entry module puts these around the Worker's classes and around
 * the prototypes of its bindings. Objects of one Worker share its isolate here, so one table of counts serves them all.
 */

type Row = Record<string, number>;
/** Any method: what passes through is not looked at, only its result is. */
type Method = (this: unknown, ...args: unknown[]) => unknown;
type Class = new (...args: never[]) => object;

interface Cursor {
  readonly rowsRead: number;
  readonly rowsWritten: number;
}
interface Sql {
  exec(query: string, ...values: unknown[]): Cursor;
}
interface Storage {
  readonly sql: Sql;
  setAlarm(due: number | Date): Promise<void>;
}
interface D1Answer {
  readonly meta?: { readonly rows_read?: number; readonly rows_written?: number };
}

const counts: Row = {};
/** Cursors count rows while they are read, so they are asked when the counts are. */
let cursors: { readonly name: string; readonly cursor: Cursor }[] = [];
let counting = false;

export function add(name: string, amount = 1): void {
  if (counting && amount !== 0) counts[name] = (counts[name] ?? 0) + amount;
}

/** Begins counting at zero. */
export function beginCounting(): void {
  for (const name of Object.keys(counts)) Reflect.deleteProperty(counts, name);
  cursors = [];
  counting = true;
}

/** Ends counting and gives the counts. */
export function endCounting(): Row {
  for (const { name, cursor } of cursors) {
    add(`${name} rows read`, cursor.rowsRead);
    add(`${name} rows written`, cursor.rowsWritten);
  }
  counting = false;
  cursors = [];
  return { ...counts };
}

/** An object's class that counts its calls, by method, and its rows. */
export function counted<T extends Class>(name: string, base: T): T {
  for (const method of Object.getOwnPropertyNames(base.prototype)) {
    const value: unknown = Object.getOwnPropertyDescriptor(base.prototype, method)?.value;
    if (method !== "constructor" && typeof value === "function")
      wrap(base.prototype, method, () => add(`${name}.${method}`));
  }
  const Base = base as unknown as new (...args: unknown[]) => object;
  const Counted = class extends Base {
    constructor(...args: unknown[]) {
      super(...args);
      countStorage(name, (args[0] as { readonly storage: Storage }).storage);
    }
  };
  return Counted as unknown as T;
}

function countStorage(name: string, storage: Storage): void {
  const { sql } = storage;
  const exec = sql.exec.bind(sql);
  sql.exec = (query, ...values) => {
    const cursor = exec(query, ...values);
    if (counting) {
      cursors.push({ name, cursor });
      if (isInsert(query))
        add(
          `${name} bytes`,
          values.reduce<number>((total, value) => total + sizeOf(value), 0),
        );
    }
    return cursor;
  };
  wrap(storage, "setAlarm", () => add(`${name} alarms set`));
}

/** Counts what goes through the Worker's bindings. */
export function countBindings(env: object): void {
  const { DB, RECEIPTS, SEGMENTS } = env as Record<"DB" | "RECEIPTS" | "SEGMENTS", object>;
  // Every statement of D1, whichever way it is run, goes through this method of its session.
  const session = (DB as { readonly alwaysPrimarySession?: object }).alwaysPrimarySession;
  if (session === undefined)
    throw new Error("this version of the runtime hides D1's counts: adapt bench/edge/counters.ts");
  wrap(session, "_sendOrThrow", countStatements, countAnswers);
  wrap(RECEIPTS, "send", (message) => {
    add("queue messages");
    const bytes = new TextEncoder().encode(JSON.stringify(message)).length;
    add("queue bytes", bytes);
    add("queue units", Math.max(1, Math.ceil(bytes / 64_000)));
  });
  wrap(SEGMENTS, "put", (_name, bytes) => {
    add("R2 puts");
    add("R2 bytes", (bytes as Uint8Array).length);
  });
}

function countStatements(_path: unknown, query: unknown, parameters: unknown): void {
  const queries = [query].flat() as string[];
  const values = Array.isArray(query) ? (parameters as unknown[][]) : [parameters as unknown[]];
  for (const [index, sql] of queries.entries()) {
    if (isInsert(sql)) for (const value of values[index] ?? []) add("D1 bytes", sizeOf(value));
  }
}

function countAnswers(answers: unknown): void {
  for (const { meta } of [answers].flat() as D1Answer[]) {
    add("D1 rows read", meta?.rows_read ?? 0);
    add("D1 rows written", meta?.rows_written ?? 0);
  }
}

/** Puts a look at the arguments and at the result around a method. */
function wrap(
  target: object,
  name: string,
  before: (...args: unknown[]) => void,
  after?: (result: unknown) => void,
): void {
  const method = Reflect.get(target, name) as Method;
  const wrapped: Method = function (...args) {
    before(...args);
    const result = Reflect.apply(method, this, args);
    return after !== undefined && result instanceof Promise
      ? result.then((value: unknown) => {
          after(value);
          return value;
        })
      : result;
  };
  Reflect.defineProperty(target, name, { value: wrapped, configurable: true, writable: true });
}

function isInsert(sql: string): boolean {
  return /^\s*INSERT/i.test(sql);
}

function sizeOf(value: unknown): number {
  return typeof value === "string" ? value.length : 8;
}
