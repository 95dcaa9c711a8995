/**
 * The soft stop (economics.md §7): a balance that does not cover a request meets no error page but what a product screen
 * needs. The same refusal is a 402 and, in a stream that has begun, the error of its last event.
 */

import { z } from "zod";
import type { SoftStop } from "../../core/account/hold.ts";
import type { Refusal } from "../../core/errors.ts";
import { formatCredits } from "../../core/units.ts";
import { credits } from "../network/common.ts";
import { packageOffer } from "../network/deposits.ts";
import { paymentRequired } from "../x402/messages.ts";

export const softStop = z.object({
  balance: credits.meta({ description: "What could pay for it now.", example: "20.000" }),
  required: credits.meta({ description: "Its worst case, or the minimum for remote inference.", example: "32.660" }),
  shortfall: credits.meta({ description: "What is missing.", example: "12.660" }),
  unused_paid: credits.meta({
    description: "Paid credits that stay untouched beside an allotment unless the request says `allow_paid`.",
    example: "0.000",
  }),
  refresh_at: z
    .string()
    .meta({ description: "When credits refresh next (RFC 3339).", example: "2026-11-26T00:00:00Z" }),
  packages: z
    .array(packageOffer)
    .meta({ description: "The packages on offer; none where the network takes no deposits.", example: [] }),
  x402: paymentRequired.nullable().meta({
    description:
      "How to pay for it at once, as in the header PAYMENT-REQUIRED; null where the network takes no such payments.",
    example: null,
  }),
});

export type Offers = Pick<z.infer<typeof softStop>, "packages" | "x402">;

/** An account's refusal with all that a screen shows. `refreshAt` is RFC 3339. */
export function softStopRefusal(refusal: Refusal, stop: SoftStop, refreshAt: string, offers: Offers): Refusal {
  const metadata: z.infer<typeof softStop> = {
    balance: formatCredits(stop.balance),
    required: formatCredits(stop.required),
    shortfall: formatCredits(stop.shortfall),
    unused_paid: formatCredits(stop.unused),
    refresh_at: refreshAt,
    ...offers,
  };
  return { ...refusal, metadata };
}
