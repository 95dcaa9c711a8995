/**
 * The one events module: what the edge says about itself, one line of JSON per event. It never throws, and it never
 * carries prompts, answers or keys: fields are ids, codes, counts and times.
 */

type Field = string | number | boolean | null | undefined;

export interface EventFields {
  readonly [field: string]: Field;
}

const LONGEST_FIELD = 512;
/** Whatever looks like a key, a token or an invite is cut from a text, in case an error's message quotes one. */
const SECRETS = /(tm[a-z]?_)[0-9A-Za-z]{8,}/g;

/** Writes an event: `{"event": …, "at": …, …fields}`. Fields without a value are left out. */
export function emit(event: string, fields: EventFields = {}): void {
  try {
    console.log(line(event, fields));
  } catch {
    // An event that cannot be written must not break what it tells about.
  }
}

/**
 * Writes the event of something that should not have happened, with the error's name, message and place. The message of
 * a SyntaxError is left out: JSON.parse quotes there what it could not read, which may be a prompt.
 */
export function emitError(event: string, error: unknown, fields: EventFields = {}): void {
  try {
    const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
    const at = stack?.split("\n")[1]?.trim();
    console.error(
      line(event, { ...fields, error: name, message: name === "SyntaxError" ? undefined : message, place: at }),
    );
  } catch {
    // As above.
  }
}

function line(event: string, fields: EventFields): string {
  const clean = Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [[name, tidy(value)]]));
  return JSON.stringify({ event, at: new Date().toISOString(), ...Object.fromEntries(clean) });
}

function tidy(value: Field): Field {
  return typeof value === "string" ? value.replace(SECRETS, "$1…").slice(0, LONGEST_FIELD) : value;
}
