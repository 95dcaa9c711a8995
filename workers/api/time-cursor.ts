/** Where a page of a list that goes back in time ended: `<milliseconds>:<id>`. */

import { type Refusal, refuse } from "../../core/errors.ts";

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

/** How a cursor that is none is refused. */
export const BAD_CURSOR: Refusal = refuse("invalid_request", {
  detail: "cursor: must be the `next` of the page before.",
  param: "cursor",
});
