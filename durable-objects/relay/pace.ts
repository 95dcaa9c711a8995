/** When a job's tokens came: what its speed follows from. */

import type { Tokens } from "../../core/pricing.ts";
import { type SpeedSample, speedOf } from "../../core/routing/speed.ts";

export class Pace {
  #firstFrame = 0;
  #firstTokenAt: number | null = null;
  #lastTokenAt = 0;

  get firstTokenAt(): number | null {
    return this.#firstTokenAt;
  }

  /** A frame with so many tokens has come. */
  frame(tokens: number, now: number): void {
    if (this.#firstTokenAt === null) this.#firstFrame = tokens;
    this.#firstTokenAt ??= now;
    this.#lastTokenAt = now;
  }

  /** The speed of the daemon that had the job from `acceptedAt` on, over the tokens that were billed. */
  speed({ prompt, completion }: Tokens, acceptedAt: number): SpeedSample | null {
    if (this.#firstTokenAt === null) return null;
    return speedOf({
      prompt,
      completion,
      firstFrame: this.#firstFrame,
      acceptedAt,
      firstTokenAt: this.#firstTokenAt,
      lastTokenAt: this.#lastTokenAt,
    });
  }
}
