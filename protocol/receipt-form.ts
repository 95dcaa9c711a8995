/**
 * A quick yes to receipts that are in order, as all but a few are. What is not known to be right here is left to the
 * schemas and to the canonical form itself (receipt.ts), which decide and name what is wrong: this may cost time by
 * missing a good receipt, but it never lets a bad one in. It takes a quarter of their time.
 */

import { LOT_KINDS } from "../core/account/lots.ts";
import { isId128, MOST_SLICES } from "../core/ids.ts";
import { LANES, ROLES } from "../core/lanes.ts";
import { OUTCOMES } from "../core/outcome.ts";
import { QUANTIZATION_TENTHS } from "../core/pricing.ts";
import { RECEIPT_VERSION } from "../core/receipt/body.ts";
import { CLAIM_CHECKS } from "../core/receipt/checks.ts";
import { MAX_AMOUNT } from "../core/units.ts";

type Test = (value: unknown) => boolean;

/** An object of exactly these fields, in canonical order. Only for what JSON.parse made: an object without a past. */
function object(fields: Readonly<Record<string, Test>>): Test {
  const names = Object.keys(fields).sort();
  const tests = names.map((name) => fields[name]);
  return (value) => {
    if (typeof value !== "object" || value === null) return false;
    let index = 0;
    for (const name in value) {
      if (name !== names[index] || !tests[index]?.((value as Record<string, unknown>)[name])) return false;
      index += 1;
    }
    return index === names.length;
  };
}

const list =
  (test: Test): Test =>
  (value) =>
    Array.isArray(value) && value.every(test);
const orNull =
  (test: Test): Test =>
  (value) =>
    value === null || test(value);
const text =
  (least: number, most: number): Test =>
  (value) =>
    typeof value === "string" && value.length >= least && value.length <= most;
const form =
  (pattern: RegExp): Test =>
  (value) =>
    typeof value === "string" && pattern.test(value);
const oneOf = (values: readonly string[]): Test => {
  const known = new Set<unknown>(values);
  return (value) => known.has(value);
};
const whole =
  (least: number, most: number): Test =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;

const count = whole(0, Number.MAX_SAFE_INTEGER);
const positive = whole(1, Number.MAX_SAFE_INTEGER);
const amount = whole(-MAX_AMOUNT, MAX_AMOUNT);
const id128: Test = (value) => typeof value === "string" && isId128(value);
const hash = form(/^[0-9a-f]{64}$/);
/** 64 bytes are 85 digits of six bits and two bits more, which the last digit begins with. */
const signature = form(/^[A-Za-z0-9_-]{85}[AQgw]$/);
const key = form(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/);

const backing = oneOf(["usdc", "none"]);
const amounts = { backing, nano_usd: amount, millicredits: amount };
const tokens = { prompt: count, completion: count };
const floor = object({
  watts: positive,
  nano_usd_per_kwh: count,
  decode_millitokens_per_second: positive,
  prefill_millitokens_per_second: positive,
});

const fields = {
  v: oneOf([RECEIPT_VERSION]),
  network: text(1, 64),
  job: id128,
  n: count,
  outcome: oneOf(OUTCOMES),
  lane: oneOf(LANES),
  model: text(1, 128),
  quantization: oneOf(Object.keys(QUANTIZATION_TENTHS)),
  consumer: id128,
  provider: text(1, 64),
  daemon: form(/^[1-9A-HJ-NP-Za-km-z]{32,44}$/),
  fence: count,
  usage: object({ ...tokens, relayed: count }),
  times: object({ queued: count, dispatched: count, first_token: orNull(count), completed: count }),
  price: object({
    terms: object({ rate: object({ completion: count, prompt: count, per: positive }), floor: orNull(floor) }),
    nano_usd_per_1k: amount,
    floor: orNull(amount),
    hold: amount,
    asks: count,
    winning_ask: orNull(amount),
    second_ask: orNull(amount),
  }),
  charge: object({
    nano_usd: amount,
    millicredits: amount,
    peg: object({ millicredits: positive, nano_usd: positive }),
    peg_epoch: count,
    parts: list(object({ kind: oneOf(LOT_KINDS), ...amounts })),
  }),
  split: list(object({ to: text(1, 64), role: oneOf(ROLES), ...amounts })),
  digest: object({ request: hash, response: hash, salt: form(/^[0-9a-f]{32}$/) }),
  claim: orNull(object({ usage: object(tokens), signature })),
  seq: positive,
  previous: hash,
};
const slice = { slice: whole(1, MOST_SLICES) };
const failed = { failed_check: oneOf(CLAIM_CHECKS) };
const reserved = { reserved: count, lane: oneOf(["dedicated"]), n: whole(0, 0) };
/** The bodies that a receipt may have, the usual one first. Slices reserve nothing. */
const bodies = [{}, reserved, slice, failed, { ...reserved, ...failed }, { ...slice, ...failed }].map((more) =>
  object({ ...fields, ...more }),
);

/** Whether a value is a receipt's body and `text`, from which JSON.parse made it, is its canonical text (RFC 8785). */
export function isReceiptBody(value: unknown, text: string): boolean {
  // With its keys in order JSON.stringify writes what RFC 8785 does, except that it escapes half of a surrogate pair,
  // which has no canonical form.
  return bodies.some((body) => body(value)) && JSON.stringify(value) === text && !text.includes("\\ud");
}

/** Whether a value that came as JSON is a signed receipt. Its body is not looked into. */
export const isSignedReceipt: Test = object({ body: text(2, 16_384), key, signature });
