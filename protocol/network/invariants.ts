/** Shape of the network's invariants: sums that must be zero. */

import { z } from "zod";
import { time } from "./common.ts";

const amount = z.string().regex(/^-?\d+$/);

const invariant = z.object({
  name: z.string().meta({
    description:
      "`shares` · `journal` · `totals` · `deposits`: what is compared, named in the description of the call.",
    example: "shares",
  }),
  of: z.string().meta({ description: "The lane or the column of the books.", example: "public" }),
  unit: z.enum(["nano_usd", "millicredits"]),
  left: amount.meta({ description: "One side, a whole number of the unit.", example: "82000" }),
  right: amount.meta({ description: "The other side.", example: "82000" }),
  difference: amount.meta({ description: "Left minus right.", example: "0" }),
  ok: z.boolean(),
});

export const invariants = z.object({
  ok: z.boolean().meta({ description: "Whether every one of them holds." }),
  at: time.meta({ description: "When they were added up." }),
  invariants: z.array(invariant),
  in_transfer: amount.meta({
    description:
      "Millicredits that the journal has left one account and not reached another. It is below zero for as long as the " +
      "journal has an arrival and not yet its sending, a quarter of an hour at most.",
    example: "0",
  }),
  in_suspense: amount.meta({
    description: "nanoUSD that the treasury has received and that nobody has been credited with: operators decide.",
    example: "0",
  }),
  spot_check: z.object({
    accounts: z.int().meta({ description: "Accounts that were asked for some of their entries.", example: 4 }),
    entries: z.int().meta({ description: "Rows of the journal that were held against them.", example: 64 }),
    differences: z.array(
      z.object({
        account: z.string().meta({ description: "The pseudonym that its receipts have for it." }),
        seq: z.int(),
        detail: z.string().meta({ example: "the account has another entry in this place" }),
      }),
    ),
  }),
});
