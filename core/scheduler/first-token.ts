/** How long a daemon may take to its first token before another one is asked beside it (economics.md §9). */

import type { Parameters } from "../parameters.ts";

/**
 * Milliseconds from dispatch: 8 s ◆ for models under 15B ◆ and 18 s ◆ above, and 1 s ◆ more for every 1,000 tokens that the
 * prompt has at most.
 */
export function firstTokenDeadlineMs(
  parametersInMillions: number,
  promptTokens: number,
  parameters: Parameters,
): number {
  const { firstTokenDeadlineSmallMs, firstTokenDeadlineLargeMs, firstTokenDeadlinePer1kPromptMs } = parameters;
  const isSmall = parametersInMillions < parameters.firstTokenLargeModelMillions;
  const base = isSmall ? firstTokenDeadlineSmallMs : firstTokenDeadlineLargeMs;
  return base + Math.floor((promptTokens * firstTokenDeadlinePer1kPromptMs) / 1_000);
}
