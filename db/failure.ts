/** What a failed D1 call means. D1 gives SQLite's errors as text, so that text is read in this one place. */

export type Failure =
  /** Somebody else wrote the same key first: read again, then decide again. */
  | "taken"
  /** A value does not fit its table: the same write will never succeed. */
  | "unfit"
  /** Anything else, such as a network or a missing table: nothing is known, so try later. */
  | "unknown";

const TAKEN = /UNIQUE constraint failed/;
const UNFIT = /constraint failed|cannot store \w+ value|SQLITE_(CONSTRAINT|MISMATCH|TOOBIG)/;

/** Tells a lost race and a value that does not fit from failures that have nothing to do with what was written. */
export function failureOf(error: unknown): Failure {
  const text = messages(error);
  if (TAKEN.test(text)) return "taken";
  return UNFIT.test(text) ? "unfit" : "unknown";
}

function messages(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}\n${messages(error.cause)}`;
}
