/** Who runs the network: the names and keys of its operators, as the secret ADMIN_KEY tells them. */

export interface Operator {
  /** What events, proposals and receipts call this person. */
  readonly name: string;
  /** The bearer token. */
  readonly key: string;
}

/** A text that names no operators; its message says which entry is wrong, and never repeats a key. */
export class OperatorsError extends Error {
  override readonly name = "OperatorsError";
}

/** What an operator is called where the secret is one key without a name. */
const ONLY_OPERATOR = "admin";
const KEY_CHARACTERS = 8;
/** Each call is held against every one of them. */
const MOST_OPERATORS = 32;

/** Visible ASCII, as a header carries it, but the colon. */
const KEY = `[!-9;-~]{${KEY_CHARACTERS},}`;
const ENTRY = new RegExp(`^([a-z0-9][a-z0-9-]{0,31}):(${KEY})$`);
const BARE = new RegExp(`^${KEY}$`);

/**
 * Reads operators: either one key, whose operator is called `admin`, or entries `name:key` with blanks or line ends
 * between them. Throws an {@link OperatorsError}.
 */
export function parseOperators(text: string): readonly Operator[] {
  const entries = text.split(/\s+/).filter((entry) => entry !== "");
  const [first, ...others] = entries;
  if (first === undefined) throw new OperatorsError("must be a key of 8 characters or more, or entries `name:key`.");
  if (others.length === 0 && BARE.test(first)) return [{ name: ONLY_OPERATOR, key: first }];
  if (entries.length > MOST_OPERATORS) throw new OperatorsError(`must name at most ${MOST_OPERATORS} operators.`);
  return distinct(entries.map(parseEntry));
}

function parseEntry(entry: string, index: number): Operator {
  const [, name, key] = ENTRY.exec(entry) ?? [];
  if (name !== undefined && key !== undefined) return { name, key };
  throw new OperatorsError(
    `must be a key of 8 characters or more, or entries \`name:key\`: entry ${index + 1} has no name of a-z 0-9 -, or a key ` +
      "that is too short or has a colon or letters beyond ASCII.",
  );
}

/** Two names for one key would let one person be two. */
function distinct(operators: readonly Operator[]): readonly Operator[] {
  for (const [index, { name, key }] of operators.entries()) {
    const before = operators.slice(0, index);
    if (before.some((other) => other.name === name)) throw new OperatorsError(`names the operator ${name} twice.`);
    const same = before.find((other) => other.key === key);
    if (same !== undefined) throw new OperatorsError(`gives ${same.name} and ${name} the same key.`);
  }
  return operators;
}
