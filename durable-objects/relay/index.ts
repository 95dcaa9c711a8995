import { DurableObject } from "cloudflare:workers";

/** A placeholder that answers so that the toolchain has something to build and test. */
export class Relay extends DurableObject<Env> {
  ping(): string {
    return "relay";
  }
}
