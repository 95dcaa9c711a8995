/** One job's stream without its relay: what it says to its host is kept, and time is the test's. */

import { vi } from "vitest";
import { chargeHold } from "../../../core/account/resolve.ts";
import { GENESIS_HEAD } from "../../../core/account/state.ts";
import { type AccountId, newJobId, type Pseudonym } from "../../../core/ids.ts";
import { GENESIS_PARAMETERS } from "../../../core/parameters.ts";
import { composeReceipt, type JobFacts, receiptText } from "../../../core/receipt/body.ts";
import { hashText, utf8ToBytes } from "../../../core/receipt/canonical.ts";
import { JobStream } from "../../../durable-objects/relay/job-stream.ts";
import type { StreamHost } from "../../../durable-objects/relay/stream-host.ts";
import { DueTimes } from "../../../durable-objects/shared/due-times.ts";
import type { Done, Job, RelayMessage } from "../../../protocol/daemon/messages.ts";
import type { RelayJob, RelayRefusal } from "../../../protocol/internal/job.ts";
import type { JobReport } from "../../../protocol/internal/pool.ts";
import { idOf } from "../../support/receipts.ts";
import { daemonKey, ScriptedDaemon, ScriptedJob } from "../../support/scripted-daemon.ts";

export const NOW = Date.UTC(2026, 10, 22, 12);

export interface Stage {
  readonly stream: JobStream;
  readonly sent: RelayMessage[];
  readonly posted: JobFacts[];
  readonly voided: string[];
  readonly reports: JobReport[];
  /** The races of which it asked whether it has won. */
  readonly asked: number[];
  /** Answers that. */
  decide(hasWon: boolean): Promise<void>;
  /** Sends a text of one token, as the daemon would. */
  readonly text: (text: string) => void;
  /** Ends the job with the claim that fits, or with one that was changed. */
  readonly done: (changes?: Partial<Done>) => void;
  /** Moves time on, with everything that is due by then. */
  readonly pass: (ms: number) => Promise<void>;
}

export function openStream(changes: Partial<RelayJob> = {}): Stage {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], now: NOW });
  const { id: daemon } = daemonKey(1);
  const job: RelayJob = {
    job: newJobId(NOW, new Uint8Array(10)),
    account: idOf<AccountId>("consumer"),
    consumer: idOf<Pseudonym>("consumer"),
    lane: "public",
    network: null,
    model: "test-model",
    grant: {
      relay: "local/0",
      daemon,
      provider: idOf<AccountId>("provider"),
      quantization: "q4",
      fence: 1,
      terms: { rate: { completion: 80_000, prompt: 20_000, per: 1_000 }, floor: null },
      auction: { asks: 0, winning_ask: null, second_ask: null },
      record: null,
      dispatchedAt: NOW,
      leaseUntil: NOW + 5_000,
    },
    race: null,
    hold: { promptBound: 10, completionCap: 1_000, expiresAt: NOW + 780_000 },
    queuedAt: NOW,
    firstDispatchedAt: NOW,
    minBytesPerTokenHundredths: 100,
    salt: "ab".repeat(16),
    requestDigest: hashText("request"),
    request: {},
    choices: 1,
    stream: true,
    includeUsage: false,
    ...changes,
  };
  const kept = {
    sent: [] as RelayMessage[],
    posted: [] as JobFacts[],
    voided: [] as string[],
    reports: [] as JobReport[],
    asked: [] as number[],
  };
  const outcome = Promise.withResolvers<boolean>();
  const host: StreamHost = {
    network: "local",
    parameters: GENESIS_PARAMETERS,
    dueTimes: new DueTimes(),
    send: (message) => void kept.sent.push(message),
    post: (facts) => {
      kept.posted.push(facts);
      const charge = chargeHold(undefined, facts.outcome, facts.terms, facts.usage);
      const body = receiptText(composeReceipt(facts, undefined, charge, { seq: 0, head: GENESIS_HEAD }));
      return Promise.resolve({ type: "posted", body, seq: 1, remaining: 0 as never });
    },
    void: (reason) => {
      kept.voided.push(reason);
      return Promise.resolve();
    },
    win: (race) => {
      kept.asked.push(race);
      return outcome.promise;
    },
    acknowledge: () => Promise.resolve(),
    report: (report) => void kept.reports.push(report),
    ended: () => {},
  };
  const stream = new JobStream(job, 7, host, NOW);
  const socket = { send: () => {}, close: () => {}, addEventListener: () => {} };
  const offer = { ...job, stream: 7, fence: 1, ticket: "ticket", request_digest: job.requestDigest };
  const scripted = new ScriptedJob(new ScriptedDaemon(daemonKey(1), socket, () => {}), offer as unknown as Job);
  return {
    stream,
    ...kept,
    text: (text) => {
      scripted.text(text);
      stream.frame({ stream: 7, kind: 0, choice: 0, tokens: 1, payload: utf8ToBytes(text) });
    },
    decide: async (hasWon) => {
      outcome.resolve(hasWon);
      await vi.advanceTimersByTimeAsync(0);
    },
    done: (changes) => stream.done(scripted.claim(changes)),
    pass: async (ms) => {
      await vi.advanceTimersByTimeAsync(ms);
    },
  };
}

export async function refusalOf(stream: JobStream): Promise<RelayRefusal> {
  return await (await stream.response).json<RelayRefusal>();
}
