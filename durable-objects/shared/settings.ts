/** What objects read from the environment beside their bindings. */

import { type Parameters, parseParameters } from "../../core/parameters.ts";
import { hexToBytes } from "../../core/receipt/canonical.ts";

/** The parameters in force: the rules' own, unless the optional variable TOLLMILL_PARAMETERS changes some. */
export function parametersOf(env: object): Parameters {
  return parseParameters((env as { TOLLMILL_PARAMETERS?: string }).TOLLMILL_PARAMETERS);
}

/** The edge's key: 32 bytes from the secret EDGE_KEY. Throws a TypeError that names the secret when it is malformed. */
export function edgeKeyOf(env: { readonly EDGE_KEY: string }): Uint8Array<ArrayBuffer> {
  if (!/^[0-9a-f]{64}$/.test(env.EDGE_KEY)) {
    throw new TypeError("EDGE_KEY must be 64 hex digits: set it with `wrangler secret put EDGE_KEY`");
  }
  return new Uint8Array(hexToBytes(env.EDGE_KEY));
}
