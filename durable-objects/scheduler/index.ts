import { DurableObject } from "cloudflare:workers";

/** A placeholder that answers so that the toolchain has something to build and test. */
export class Scheduler extends DurableObject<Env> {
  ping(): string {
    return "scheduler";
  }
}
