/** A mock daemon's key, from a seed. Node's own signatures are fast enough to stand behind a benchmark. */

import { createPrivateKey, type KeyObject, sign } from "node:crypto";
import type { DaemonId } from "../../core/ids.ts";
import { base64url, daemonIdOf } from "../../core/keys.ts";

/** DER in front of a 32-byte Ed25519 seed (RFC 8410, PKCS #8). */
const PKCS8_HEAD = "302e020100300506032b657004220420";

export class MockIdentity {
  readonly id: DaemonId;
  readonly #key: KeyObject;

  /** `seed` is 64 hex digits. */
  constructor(seed: string) {
    this.#key = createPrivateKey({ key: Buffer.from(PKCS8_HEAD + seed, "hex"), format: "der", type: "pkcs8" });
    const { x = "" } = this.#key.export({ format: "jwk" });
    this.id = daemonIdOf(Buffer.from(x, "base64url"));
  }

  sign(bytes: Uint8Array): string {
    return base64url(sign(null, bytes, this.#key));
  }
}
