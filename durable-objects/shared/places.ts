/** The stubs of schedulers and relays, which are placed where their region says. */

import { regionOf } from "../../protocol/internal/names.ts";

type Pools = Pick<Env, "SCHEDULER">;
type Relays = Pick<Env, "RELAY">;

/** Cloudflare's location hints. An object is placed by the first call that ever names it. */
const HINTS = ["wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"] as const;

function placed(name: string): { locationHint?: DurableObjectLocationHint } {
  const region = regionOf(name);
  const hint = HINTS.find((each) => each === region);
  return hint === undefined ? {} : { locationHint: hint };
}

export function schedulerStub(env: Pools, name: string) {
  return env.SCHEDULER.getByName(name, placed(name));
}

export function relayStub(env: Relays, name: string) {
  return env.RELAY.getByName(name, placed(name));
}
