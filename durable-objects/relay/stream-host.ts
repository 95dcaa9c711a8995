/** What a job's stream needs of the relay that it passes through. */

import type { Parameters } from "../../core/parameters.ts";
import type { JobFacts } from "../../core/receipt/body.ts";
import type { RelayMessage } from "../../protocol/daemon/messages.ts";
import type { PostResult } from "../../protocol/internal/account.ts";
import type { JobReport } from "../../protocol/internal/pool.ts";
import type { DueTimes } from "../shared/due-times.ts";
import type { PostedReceipt } from "./settlement.ts";

/** What a stream needs, whatever it is for. */
export interface StreamBase {
  readonly network: string;
  readonly parameters: Parameters;
  readonly dueTimes: DueTimes;
  send(message: RelayMessage): void;
  /** The stream is over and may be forgotten. */
  ended(): void;
}

/** What a stream needs for its job. */
export interface StreamHost extends StreamBase {
  post(facts: JobFacts): Promise<PostResult>;
  void(reason: string): Promise<void>;
  /** Whether this attempt has won its race, and with it the job's hold. */
  win(race: number): Promise<boolean>;
  /**
   * Tells the daemon that its claim is settled: where there is a receipt, once that is signed and the queue has it. An own
   * device's job has none.
   */
  acknowledge(receipt: PostedReceipt | null): Promise<void>;
  report(report: JobReport): void;
}
