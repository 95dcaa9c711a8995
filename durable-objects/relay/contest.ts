/** What an attempt at a job has to wait for where another one runs beside it (docs/decisions/0059). */

import { LIMITS } from "../../core/limits.ts";
import { emitError } from "../shared/events.ts";

export interface ContestHost {
  /** Asks whether this attempt has won its race. */
  win(race: number): Promise<boolean>;
  /** It has: what waited is about to happen. */
  won(): void;
  /** It has not, or nobody could say so. */
  lost(): void;
}

/**
 * One attempt's part in a race. An attempt that runs alone asks nobody. One that another runs beside asks before its first
 * step that a consumer would see or a hold would end with; until it is answered that step and all that follow wait, in
 * their order.
 */
export class Contest {
  readonly #host: ContestHost;
  /** The race, by the fence with which it began; null while the attempt runs alone. */
  #race: number | null;
  #stage: "quiet" | "asking" | "won" | "lost" = "quiet";
  #waiting: (() => void)[] = [];
  #waitingBytes = 0;

  constructor(race: number | null, host: ContestHost) {
    this.#race = race;
    this.#host = host;
  }

  /** Another attempt may begin beside this one. */
  begin(race: number): void {
    this.#race ??= race;
  }

  get race(): number | null {
    return this.#race;
  }

  get isAsking(): boolean {
    return this.#stage === "asking";
  }

  /**
   * Whether a step has to wait until the race is decided; it then takes place by itself if this attempt has won. `bytes`
   * is what waits in memory with it.
   */
  holdsBack(step: () => void, bytes = 0): boolean {
    if (this.#race === null || this.#stage === "won") return false;
    if (this.#stage === "lost") return true;
    this.#waiting.push(step);
    this.#waitingBytes += bytes;
    if (this.#stage === "quiet") void this.#ask(this.#race);
    // A daemon that sends as much while its relay waits for a word heeds nothing.
    else if (this.#waitingBytes > LIMITS.streamMostBytes) this.lose();
    return true;
  }

  async #ask(race: number): Promise<void> {
    this.#stage = "asking";
    const hasWon = await this.#host.win(race).catch((error: unknown) => {
      emitError("race_undecided", error, { race });
      return false;
    });
    if (this.#stage !== "asking") return;
    if (!hasWon) return this.lose();
    this.#stage = "won";
    this.#host.won();
    for (const step of this.#waiting.splice(0)) step();
  }

  /** Another attempt has won. Nothing that waits takes place. */
  lose(): void {
    if (this.#stage === "won" || this.#stage === "lost") return;
    this.#stage = "lost";
    this.#waiting = [];
    this.#host.lost();
  }
}
