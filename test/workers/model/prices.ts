/** The rules of price and reservation once more, in the plainest arithmetic that could be right (economics.md §§2, 6). */

import type { Tokens } from "../../../core/pricing.ts";
import type { CatalogModel } from "../../../protocol/catalog.ts";

/** NanoUSD for 1,000 tokens: odd ones, so that prices have to be rounded. Every daemon asks just what a job pays at most. */
const COMPLETION_RATE = 80_001;
/** In an auction a prompt token weighs a quarter of a completion token, whatever the catalog says. */
const PROMPT_RATE = COMPLETION_RATE / 4;
/** 617 W come to 24,680 nanoUSD for 1,000 tokens at a scripted daemon's speed, and with this margin to that ask, rounded up. */
export const ASKING = { watts: 617, margin: 3.2415 };
const BYTES_PER_TOKEN = 1.5;
const COMPLETION_DEFAULT = 400;
/** Rules of the market. */
const MINIMUM_COMPLETION = 256;
const TEMPLATE_TOKENS = 4;
export const MINIMUM_BALANCE = 5_000;

/** What a call asks for: all that its reservation depends on. */
export interface Asked {
  readonly content: string;
  readonly stream: boolean;
  readonly cap: number | null;
  readonly choices: number;
  readonly key: string | null;
}

/** What the market's one model differs in from the usual test model. */
export const MODEL = {
  id: "odd-model",
  completion_default: COMPLETION_DEFAULT,
  rates: { completion_nano_usd_per_1k: COMPLETION_RATE, prompt_nano_usd_per_1k: 20_003 },
  prompt_bytes_per_token_hundredths: 100,
  prompt_tokens_per_message: TEMPLATE_TOKENS,
  min_bytes_per_token_hundredths: 100 * BYTES_PER_TOKEN,
} satisfies Partial<CatalogModel>;

/** The price of tokens in nanoUSD, rounded up once. */
export function priceOf({ prompt, completion }: Tokens): number {
  return Math.ceil((completion * COMPLETION_RATE + prompt * PROMPT_RATE) / 1_000);
}

/** The bound on a call's prompt: a byte a token, and the template for the message and for the answer's opening. */
export function promptBoundOf({ content }: Asked): number {
  return content.length + 2 * TEMPLATE_TOKENS;
}

/** What each choice may have: what is named, else the default or what the money is enough for, and at least 256. */
export function capOf({ cap, choices, ...asked }: Asked, available: number): number {
  if (cap !== null) return cap;
  const left = available * 1_000 - promptBoundOf({ cap, choices, ...asked }) * PROMPT_RATE;
  const affordable = Math.floor(Math.max(0, Math.floor(left / COMPLETION_RATE)) / choices);
  return Math.max(MINIMUM_COMPLETION, Math.min(COMPLETION_DEFAULT, affordable));
}

/** What of a claim is billed for frames that were relayed: the least of all that is said and possible. */
export function billed(
  claimed: Tokens,
  frames: readonly { readonly text: string; readonly tokens: number }[],
  bounds: { readonly promptBound: number; readonly completion: number },
): Tokens {
  const counted = frames.filter(({ text }) => text !== "");
  const framed = counted.reduce((total, { tokens }) => total + tokens, 0);
  const bytes = counted.reduce((total, { text }) => total + text.length, 0);
  return {
    prompt: Math.min(claimed.prompt, bounds.promptBound),
    completion: Math.min(claimed.completion, framed, Math.ceil(bytes / BYTES_PER_TOKEN), bounds.completion),
  };
}
