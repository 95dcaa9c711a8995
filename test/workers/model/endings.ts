/**
 * The model of a job: which ends its history allows, and what each of them costs (economics.md §6). Where the history is
 * plain there is one end and one charge; where two parts raced, each order of theirs is allowed and no other.
 */

import { LIMITS } from "../../../core/limits.ts";
import { GENESIS_PARAMETERS } from "../../../core/parameters.ts";
import type { ReceiptBody } from "../../../core/receipt/body.ts";
import { firstTokenDeadlineMs } from "../../../core/scheduler/first-token.ts";
import { testModel } from "../../support/models.ts";
import type { Attempt, Word } from "./attempt.ts";
import type { History, Moment, Part } from "./history.ts";
import { bornAt, cutsOf, type Ending, type Held, type Job } from "./job.ts";
import { billed, MODEL, priceOf } from "./prices.ts";
import { OUT_OF_TURN } from "./wire.ts";

const { firstTokenSlaMs, freeCancelMs } = GENESIS_PARAMETERS;
/** With the shortest prompt. */
const FIRST_TOKEN_MS = firstTokenDeadlineMs(testModel(MODEL).parameters_in_millions, 0, GENESIS_PARAMETERS);

/** Why a job may not have ended as it did; null when its history allows it. */
export function objectionTo(job: Job, history: History): string | null {
  const [ending, later, ...more] = job.endings;
  const { held } = job;
  if (held === null) return job.attempts.length > 0 || job.endings.length > 0 ? "it was served without a hold" : null;
  if (ending === undefined) return "it never ended";
  if (later !== undefined && (more.length > 0 || ending.type !== "hold_expired" || !isExpired(later))) {
    return "it ended more than once";
  }
  if (ending.body.includes(OUT_OF_TURN)) return "it was ended by who had no say";
  // Where two raced, either may have had the last word; which of them had, a receipt tells by its fence.
  const objections = contendersOf(job).map((last) => objectionFor(job, held, last, ending, history));
  return objections.includes(null) ? null : (objections[0] ?? null);
}

function objectionFor(
  job: Job,
  held: Held,
  last: Attempt | undefined,
  ending: Ending,
  history: History,
): string | null {
  if (ending.type === "spent") return objectionToReceipt(job, held, last, ending);
  if (last !== undefined && !cameTooLate(job, last, ending) && owes(job, last, ending))
    return `it was served and ended as ${ending.type}`;
  if (ending.type === "hold_expired") return ending.at < held.expiresAt ? "it expired too early" : null;
  return last === undefined ? objectionToNothing(job, ending, history) : objectionToVoid(job, last, ending, history);
}

/** The last attempt at a job, and before it those that another one ran beside; undefined where there was none. */
function contendersOf({ attempts }: Job): (Attempt | undefined)[] {
  const inOrder = attempts.toSorted((a, b) => b.fence - a.fence);
  const [last] = inOrder;
  return [last, ...inOrder.filter((attempt) => inOrder.some((later) => ranBeside(attempt, later)))];
}

/** Whether two attempts at a job ran at once: one had said nothing for so long that another daemon was asked beside it. */
export function isRaced({ attempts }: Job): boolean {
  return attempts.some((attempt) => attempts.some((later) => ranBeside(attempt, later)));
}

function ranBeside({ fence, received, word, gone, stopped }: Attempt, later: Attempt): boolean {
  const ended = Math.min(...[word, gone, stopped].map((moment) => moment?.tick ?? Number.POSITIVE_INFINITY));
  const isSlow = later.received.at - received.at >= FIRST_TOKEN_MS;
  return later.fence > fence && isSlow && ended > later.received.tick;
}

function isExpired({ type, body }: Ending): boolean {
  const { outcome, charge } = JSON.parse(body) as ReceiptBody;
  return type === "spent" && outcome === "expired" && charge.nano_usd === 0;
}

/** Whether the attempt's last word must have become a receipt, whatever else happened. */
function owes(job: Job, attempt: Attempt, ending: Moment): boolean {
  const { word, gone, stopped } = attempt;
  if (word === null || word.type === "declined" || (word.type === "failed" && !hasFrames(attempt))) return false;
  if (gone !== null && gone.tick < ending.tick) return false;
  if (isPast(job, ending)) return false;
  const cuts = cutsOf(job, ending.tick);
  // Told to stop before anybody had asked for that, it was taken for silent, and its word came too late.
  const isLate = stopped !== null && (stopped.tick < word.tick || isSilent(attempt));
  if (isLate && cuts.every(({ tick }) => tick > stopped.tick)) return false;
  if (word.type === "failed" && cuts.length > 0) return false;
  return cuts.every((cut) => !mayBeFree(attempt, cut) && word.at - cut.at < LIMITS.claimAfterCancelMs);
}

/**
 * Whether the pool ended a job whose lease had lapsed. A clock that jumps makes that due in the moment in which the job would
 * have moved on, or in which its relay takes it up.
 */
export function isLapsed({ type, body }: Ending): boolean {
  return type === "void" && (JSON.parse(body) as { readonly reason: string }).reason === "lease_lapsed";
}

/** Whether an attempt reached its relay when its lease, which began after the attempt before, had lapsed. */
function cameTooLate(job: Job, attempt: Attempt, ending: Ending): boolean {
  const before = job.attempts
    .filter(({ fence }) => fence < attempt.fence)
    .map(({ received, stopped }) => stopped ?? received);
  const since = Math.max(bornAt(job).at, ...before.map(({ at }) => at));
  return isLapsed(ending) && attempt.received.at - since >= LIMITS.leaseMs;
}

/** Whether the daemon may have let the time pass in which it had to accept. */
function isSilent({ accepted, received }: Attempt): boolean {
  return accepted === null || accepted.at - received.at >= LIMITS.acceptMs;
}

function hasFrames({ frames, word }: Attempt): boolean {
  return frames.some(({ text, tick }) => text !== "" && (word === null || tick < word.tick));
}

/** Whether the job's time may have been over: 600 s from its first dispatch, or 30 s before the end of its hold. */
function isPast(job: Job, { at }: Moment): boolean {
  return at - bornAt(job).at >= firstTokenSlaMs;
}

/** Whether a cut may have come before the first token and within a second of the acceptance, as the relay heard it. */
function mayBeFree({ accepted, confirmed, frames }: Attempt, cut: Moment): boolean {
  const known = confirmed.filter(({ tick }) => tick < cut.tick).at(-1);
  if (known === undefined || accepted === null || accepted.tick > known.tick) return true;
  const relayed = frames.slice(0, known.frames).some(({ text }) => text !== "");
  const heard = confirmed.find(({ tick }) => tick >= accepted.tick) ?? known;
  return !relayed && cut.at - heard.at < freeCancelMs;
}

/**
 * Whether a hold may be left to its own time, though everybody has told what they know: its account was away when it was
 * to be released, or nobody is left who knows of the job.
 */
export function mayBeForgotten(job: Job, history: History): boolean {
  const lost = (...parts: Part[]): boolean => history.lostBetween(bornAt(job).tick, Number.POSITIVE_INFINITY, parts);
  const isUnknown = job.attempts.length === 0 || job.attempts.some(({ isForgotten }) => isForgotten);
  const isLeft = cutsOf(job, Number.POSITIVE_INFINITY).length > 0;
  return lost("account") || (lost("scheduler") && (isUnknown || isLeft));
}

/** A job that nobody ever served: its consumer left, it waited too long, or a part was lost. */
function objectionToNothing(job: Job, ending: Ending, history: History): string | null {
  const born = bornAt(job);
  const excused =
    cutsOf(job, ending.tick).length > 0 ||
    ending.at - born.at >= LIMITS.emptyPoolMs ||
    history.lostBetween(born.tick, ending.tick) ||
    // The pool offers jobs to a machine that is gone until it is back or its relay says so.
    history.lostBetween(0, ending.tick, ["machine"]);
  return excused ? null : "it was given up for no reason";
}

function objectionToVoid(job: Job, last: Attempt, ending: Ending, history: History): string | null {
  const { word, gone, stopped, received } = last;
  const excused =
    (word !== null && word.type !== "claim") ||
    cameTooLate(job, last, ending) ||
    (gone !== null && gone.tick < ending.tick) ||
    cutsOf(job, ending.tick).length > 0 ||
    (stopped !== null && stopped.at - received.at >= LIMITS.acceptMs) ||
    history.lostBetween(received.tick, ending.tick, ["relay"]);
  return excused ? null : "its attempt was dropped for no reason";
}

function objectionToReceipt(job: Job, held: Held, attempt: Attempt | undefined, ending: Ending): string | null {
  const body = JSON.parse(ending.body) as ReceiptBody;
  if (attempt?.fence !== body.fence) return "its receipt is not of its last attempt";
  const { word } = attempt;
  const cuts = cutsOf(job, ending.tick);
  switch (body.outcome) {
    case "completed":
      if (word?.type !== "claim" || !word.good) return "it completed without a good claim";
      if (attempt.stopped !== null && attempt.stopped.tick < word.tick) return "it completed after it was stopped";
      return objectionToCharge(job, held, body, attempt, word, [framesBefore(attempt, word)]);
    case "cancelled":
      if (word?.type !== "claim" || !word.good) return "it was charged without a good claim";
      if (cuts.length === 0) return "nobody cancelled it";
      if (isSurelyFree(attempt, word)) return "it was charged although its consumer left in time";
      return objectionToCharge(job, held, body, attempt, word, cutAt(attempt, word, cuts));
    case "timed_out":
      if (!isPast(job, ending)) return "it had time left";
      if (body.claim === null) return objectionToFree(body);
      if (word?.type !== "claim" || !word.good) return "it was charged without a good claim";
      return objectionToCharge(job, held, body, attempt, word, cutAt(attempt, word, []));
    case "failed":
      if (!hasFrames(attempt)) return "it failed before its first token and did not move on";
      if (word?.type !== "failed" && (attempt.gone === null || attempt.gone.tick > ending.tick)) return "nobody failed";
      return objectionToFree(body);
    case "unverified":
      if (word?.type !== "claim" || word.good) return "nothing was wrong with its claim";
      return objectionToFree(body);
    default:
      return `it ended as ${body.outcome}`;
  }
}

/** Whether the daemon was told to stop within a second of accepting, and had not said anything by then. */
function isSurelyFree({ accepted, frames, stopped }: Attempt, word: Moment): boolean {
  if (stopped === null || stopped.tick > word.tick) return false;
  const isSoon = accepted === null || accepted.tick > stopped.tick || stopped.at - accepted.at < freeCancelMs;
  return isSoon && frames.every(({ tick }) => tick > stopped.tick);
}

const framesBefore = ({ frames }: Attempt, { tick }: Moment): number =>
  frames.filter((frame) => frame.tick < tick).length;

/** How many frames may have been relayed before a cut: those surely taken before it, up to those sent before its word came. */
function cutAt(attempt: Attempt, word: Word, cuts: readonly Moment[]): number[] {
  const [first] = cuts;
  const known = attempt.confirmed.filter(({ tick }) => first !== undefined && tick < first.tick).at(-1)?.frames ?? 0;
  const end = attempt.stopped !== null && attempt.stopped.tick < word.tick ? attempt.stopped : word;
  const most = framesBefore(attempt, end);
  const least = Math.min(known, most);
  return Array.from({ length: most - least + 1 }, (_, more) => least + more);
}

/** The receipt's tokens and charge must be those of one of the allowed numbers of frames, to the last unit. */
function objectionToCharge(
  { calls }: Job,
  held: Held,
  body: ReceiptBody,
  { frames }: Attempt,
  word: Extract<Word, { type: "claim" }>,
  allowed: readonly number[],
): string | null {
  const { usage, charge } = body;
  const bounds = { promptBound: held.promptBound, completion: held.completionCap * (calls[0]?.asked.choices ?? 1) };
  const fits = allowed.some((count) => {
    const relayed = frames.slice(0, count);
    const due = billed(word.usage, relayed, bounds);
    return (
      usage.relayed === tokensOf(relayed) &&
      usage.prompt === due.prompt &&
      usage.completion === due.completion &&
      charge.nano_usd === Math.min(held.price, priceOf(due))
    );
  });
  return fits
    ? null
    : `it was charged ${charge.nano_usd} for ${JSON.stringify(usage)} of ${JSON.stringify(allowed)} frames`;
}

function objectionToFree({ charge, claim }: ReceiptBody): string | null {
  if (charge.nano_usd !== 0 || charge.millicredits !== 0) return "it was charged";
  return claim === null ? null : "it kept a claim that proves nothing";
}

const tokensOf = (frames: Attempt["frames"]): number =>
  frames.reduce((total, { text, tokens }) => total + (text === "" ? 0 : tokens), 0);
