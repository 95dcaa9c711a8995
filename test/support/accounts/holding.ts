/** Steps that hold: what is reserved, who is given the job, and what may be refused, by the second book. */

import { strict as assert } from "node:assert";
import type { Hold } from "../../../core/account/state.ts";
import { askRate } from "../../../core/auction/standing.ts";
import { type JobId, keyedJobId, newJobId } from "../../../core/ids.ts";
import { LANES } from "../../../core/lanes.ts";
import { priceAtRate, scaledRate } from "../../../core/pricing.ts";
import { parseUsd } from "../../../core/units.ts";
import type { HoldRequest, HoldResult } from "../../../protocol/internal/account.ts";
import { KEYS, type ModelAccount } from "./account.ts";
import { type Book, take } from "./book.ts";
import { attemptFacts } from "./facts.ts";
import { MAX_ASK, PARAMETERS, RATE } from "./market.ts";
import type { StepOf } from "./steps.ts";
import type { Job, World } from "./world.ts";

const BODIES = ["0".repeat(64), "1".repeat(64)] as const;

export function hold(world: World, step: StepOf<"hold">): ModelAccount {
  const account = world.account(step.who);
  const key = KEYS[step.key];
  if (key === undefined) throw new RangeError("there is no such key");
  const only = step.only === null ? null : world.market.accountAt(step.only);
  const now = account.ledger.timeOf(world.now);
  const request: HoldRequest = {
    job: jobIdFor(world, step, now),
    keyed: step.keyed === null ? false : `call ${world.turn}`,
    credentials: { secretHash: "" },
    lane: step.lane,
    lanes: LANES,
    choosesProvider: only !== null,
    mostBasisPoints: step.most,
    maxAsk: MAX_ASK,
    allowPaid: step.allowPaid,
    model: "m",
    body: BODIES[step.body] ?? BODIES[0],
    rate: RATE,
    promptBound: step.prompt,
    completion: step.completion,
    completionDefault: 150,
    choices: step.choices,
    expiresAt: now + step.lives,
  };
  const result = account.ask(step.fate, () => account.hold(request, key, step.peg, now));
  // What it ended first has to be in the book before it is asked what may be drawn.
  world.read(account);
  world.reach(result.type === "held" ? `held ${result.lane}` : `hold: ${result.refusal.code}`);
  if (result.type === "held") begin(world, account, step, request, result);
  else checkRefusal(account, step, request, result, now);
  return account;
}

function jobIdFor(world: World, { who, keyed }: StepOf<"hold">, now: number): JobId {
  const account = who % world.accounts.length;
  if (keyed !== null) return keyedJobId(now, Uint8Array.of(1, account, keyed, 0, 0, 0, 0, 0, 0, 0));
  return newJobId(now, Uint8Array.of(world.turn >> 8, world.turn & 255, 0, 0, 0, 0, 0, 0, 0, account));
}

/** Checks what a hold reserves, and gives its job to somebody. */
function begin(
  world: World,
  account: ModelAccount,
  step: StepOf<"hold">,
  request: HoldRequest,
  terms: Extract<HoldResult, { type: "held" }>,
): void {
  const { book, ledger } = account;
  const held = ledger.openHold(request.job);
  assert(held !== undefined && held.lane === (step.lane ?? held.lane));
  const { at, lane, reserved, draws, price, completionCap } = held;
  checkSlots(world, book, held);
  const sources = book.payingIn(lane, request, at);
  const tokens = { prompt: step.prompt, completion: completionCap * step.choices };
  const most = lane === "dedicated" ? Math.min(15_000, step.most ?? 15_000) : 10_000;
  assert.equal(completionCap, step.completion ?? Math.min(150, Math.max(20, completionCap)));
  const worst = lane === "public" ? askRate(MAX_ASK, PARAMETERS) : scaledRate(RATE, most);
  assert.equal(price, priceAtRate(worst, tokens), "a hold reserves the worst price");
  const expected = take(sources, price, step.peg, { allotment: priceAtRate(RATE, tokens) });
  assert.deepEqual([draws, expected.covered], [expected.drawn, price], "lots are drawn in their order");
  const allotted = draws.find(({ kind }) => kind === "allotment")?.lot;
  assert(allotted === undefined || !request.choosesProvider, "an allotment pays no chosen provider");
  const allotment =
    allotted === undefined
      ? null
      : { granted: book.lot(allotted).granted, earned: world.loop.earnedOf(allotted, account.id) };
  book.holds.set(request.job, { draws, price, key: step.key, ends: held.expiresAt, lane, reserved });
  if (lane === "included" && allotted !== undefined) {
    assert(book.inSlots().stake <= book.lot(allotted).concurrency, "an allotment carries so many jobs at once");
  }
  const job: Job = {
    job: request.job,
    account,
    terms,
    peg: step.peg,
    only: request.choosesProvider ? world.market.accountAt(step.only ?? 0) : null,
    allotment,
    heldAt: world.turn,
    attempt: null,
    excluded: [],
    fence: 0,
    facts: null,
    receipt: null,
    reversal: null,
    voided: false,
  };
  world.jobs.push(job);
  world.count("held");
  dispatch(world, job, step.favourite);
  if (draws.length > 1) world.reach("held, of several lots");
}

/** Checks, before the second book has a job, whether it gets a slot: a dedicated one does while its packages have one. */
function checkSlots(world: World, book: Book, { lane, reserved, at }: Hold): void {
  const slots = book.packageSlots(at);
  if (lane === "dedicated") assert(slots !== null, "a dedicated job has a package");
  const free = lane === "dedicated" && book.inSlots().packages < (slots ?? 0);
  assert.equal(reserved, free, "a job has a slot if and only if one is free for it");
  if (lane === "dedicated") world.reach(reserved ? "held in a slot" : "held beyond the slots");
}

/** Gives a job to somebody, or to another one than before. */
export function dispatch(world: World, job: Job, favourite: number): boolean {
  const { terms, only, excluded, allotment } = job;
  const demand = { job: job.job, account: job.account.id, terms, only, excluded, allotment };
  const granted = world.market.dispatch(demand, favourite);
  if (granted === null) {
    world.reach("nobody may serve it");
    return false;
  }
  const { daemon, cap } = granted;
  if ([...(allotment?.earned.values() ?? [])].some((earned) => earned >= (cap ?? 0)))
    world.reach("a payee is at its cap");
  job.fence++;
  excluded.push(daemon.daemon);
  job.attempt = { provider: daemon.provider, facts: attemptFacts(job.job, terms.lane, daemon), cap };
  return true;
}

/** A hold may only be refused for what the second book lacks, too. */
function checkRefusal(
  { book }: ModelAccount,
  step: StepOf<"hold">,
  request: HoldRequest,
  result: Exclude<HoldResult, { type: "held" }>,
  now: number,
): void {
  const { code, metadata } = result.refusal;
  if (code === "concurrency_limit") {
    const today = [...book.lots.values()].find(({ kind, ends }) => kind === "allotment" && (ends ?? 0) > now);
    const { stake } = book.inSlots();
    assert.deepEqual([metadata?.limit, metadata?.open], [today?.concurrency, stake], "a refusal says what is counted");
    assert(stake >= (today?.concurrency ?? 0), "who has a slot of the stake free is not refused for want of one");
  }
  if (code === "budget_exceeded") {
    const { spent, held } = book.spending(step.key, now);
    const budget = KEYS[step.key]?.budget?.nanoUsd ?? Number.POSITIVE_INFINITY;
    const [told, required] = [metadata?.spent_usd, metadata?.required_usd].map((text) => parseUsd(String(text)));
    assert.equal(told, spent, "a budget knows what was spent since its reset");
    assert(spent + held + (required ?? 0) > budget, "a budget refuses nothing that it carries");
  }
  if (result.type !== "soft_stop") return;
  const { lane, price, completionCap } = result.stop;
  const sources = book.payingIn(lane, request, now);
  const worth = sources.map(({ backing, amount }) =>
    backing === "usdc" ? Math.floor((amount * step.peg.millicredits) / step.peg.nanoUsd) : amount,
  );
  const balance = worth.reduce((sum, each) => sum + each, 0);
  if (code === "below_minimum_balance") assert(balance < PARAMETERS.minimumBalanceMillicredits);
  const atCatalog = priceAtRate(RATE, { prompt: step.prompt, completion: completionCap * step.choices });
  const { covered } = take(sources, price, step.peg, { allotment: atCatalog });
  if (code === "insufficient_credits") assert(covered < price, "what is covered is not refused");
}
