/** How the edge asks an `Account` object for a live connection: a fetch with this header, answered with a socket. */

import type { Refusal } from "../../core/errors.ts";
import type { Mark } from "../network/live-balance.ts";
import type { Credentials } from "./account.ts";

export const WATCH_HEADER = "x-tollmill-watch";

/** The header's value, as JSON. */
export interface WatchRequest {
  readonly credentials: Credentials;
  /** The last message that the watcher has; null for one that is new. */
  readonly after: Mark | null;
}

/** The body of an answer without a socket. */
export interface WatchRefusal {
  readonly refusal: Refusal;
}
