/** What is measured in rounds: systems, what they are asked for, and by how many clients. */

import type { Plan } from "../engine/answer.ts";

export type System = "hello" | "tollmill" | "proxy" | "portkey" | "engine" | "account";

export interface Scenario {
  readonly name: string;
  readonly system: System;
  readonly plan: Plan;
  readonly stream: boolean;
  readonly clients: number;
  /** How many of the network's accounts pay for it; all where it is not named. */
  readonly accounts?: number;
  /** Whether the one large account pays for it, with its slices. */
  readonly sliced?: boolean;
}

/** Tokens of an unpaced answer. */
export const TOKENS = 64;
/** Enough to keep every system busy, few enough that none is measured by its queue alone. */
const CLIENTS = 32;
const PACED_CLIENTS = 8;

const SIXTEEN: Plan = { tokens: TOKENS, piece: 16, every: 0 };
const ONE: Plan = { tokens: TOKENS, piece: 1, every: 0 };
/** Half a second at 20 frames a second. */
export const PACED: Plan = { tokens: 10, piece: 1, every: 50 };
/** A job as the cost is counted for: 250 tokens in 5 s, cut as daemons cut them. */
export const NATURAL: Plan = { tokens: 250, piece: 1, every: 0, natural: true };

const full = (name: string, system: System, plan: Plan, stream = true): Scenario => ({
  name,
  system,
  plan,
  stream,
  clients: CLIENTS,
});

/** As fast as they go, 32 at a time. */
export const FULL_SPEED: readonly Scenario[] = [
  full("hello", "hello", SIXTEEN, false),
  full("tollmill-16", "tollmill", SIXTEEN),
  full("proxy-16", "proxy", SIXTEEN),
  full("portkey-16", "portkey", SIXTEEN),
  full("tollmill-1", "tollmill", ONE),
  full("proxy-1", "proxy", ONE),
  full("portkey-1", "portkey", ONE),
  full("tollmill-plain", "tollmill", SIXTEEN, false),
  full("portkey-plain", "portkey", SIXTEEN, false),
  full("hold-post", "account", SIXTEEN, false),
  { ...full("hold-post-1", "account", SIXTEEN, false), accounts: 1 },
  { ...full("hold-post-sliced", "account", SIXTEEN, false), sliced: true },
];

const paced = (name: string, system: System): Scenario => ({
  name,
  system,
  plan: PACED,
  stream: true,
  clients: PACED_CLIENTS,
});

/** Time to the first token while a few streams run. */
export const FIRST_TOKEN: readonly Scenario[] = [
  paced("engine-paced", "engine"),
  paced("tollmill-paced", "tollmill"),
  paced("proxy-paced", "proxy"),
  paced("portkey-paced", "portkey"),
];

/** Parts that are measured once, after the rounds. */
export const PARTS = ["relay", "counts", "log", "signatures", "decisions"] as const;
export type Part = (typeof PARTS)[number];

/** A hundred streams of 20 frames a second, two tokens each, through one relay. */
export const RELAY: Scenario = {
  name: "relay",
  system: "tollmill",
  plan: { tokens: 80, piece: 2, every: 50 },
  stream: true,
  clients: 100,
};
