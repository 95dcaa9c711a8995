/** SHA-256 by the runtime's own code, at once and without a promise: on an object's way a promise costs more than the hash. */

import { createHash } from "node:crypto";

/** SHA-256 of texts (in UTF-8) and bytes, one after the other, in hex. */
export function sha256Hex(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}
