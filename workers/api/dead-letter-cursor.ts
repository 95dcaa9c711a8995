/** Where a page of dead letters ended: `<milliseconds>:<id>`. */

interface Place {
  readonly at: number;
  readonly id: string;
}

export function writePlace({ at, id }: Place): string {
  return `${at}:${id}`;
}

/** The inverse of {@link writePlace}, or null when the text is no such place. */
export function readPlace(cursor: string): Place | null {
  const match = /^(\d{1,15}):(.+)$/.exec(cursor);
  return match === null ? null : { at: Number(match[1]), id: match[2] ?? "" };
}
