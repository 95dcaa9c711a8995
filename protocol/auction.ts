/** The published record of an auction on the wire (core/auction/record.ts). */

import { z } from "zod";
import { AUCTION_VERSION, type AuctionRecord } from "../core/auction/record.ts";
import type { ReceiptBody } from "../core/receipt/body.ts";
import { count, daemonId, jobId } from "./ids.ts";

const price = z.int().min(0).meta({ description: "nanoUSD for 1,000 completion tokens.", example: 33_440 });
const factor = z.int().min(0).meta({ description: "Basis points.", example: 11_000 });
const positive = z.int().min(1);

export const auctionRecord = z.strictObject({
  v: z.literal(AUCTION_VERSION),
  job: jobId,
  pool: z.string().min(3).max(192).meta({ description: "`region/model`.", example: "local/tiny-miller" }),
  at: count.meta({ description: "Milliseconds since 1970." }),
  max: price.meta({ description: "The most that the job paid." }),
  rules: z
    .strictObject({
      auctionMarginBasisPoints: factor,
      demandFromBasisPoints: factor,
      demandFullBasisPoints: factor,
      demandMostBasisPoints: factor,
      newcomerReachBasisPoints: factor,
      newcomerShareBasisPoints: factor,
      promptWeightDenominator: positive,
      promptWeightNumerator: count,
    })
    .meta({ description: "The parameters that were in force." }),
  demand: z.strictObject({
    basis_points: factor.meta({ description: "What every ask was multiplied by.", example: 10_000 }),
    slots: count.meta({ description: "Slots of the pool." }),
    running: count.meta({ description: "Jobs of the public lane that ran." }),
    queued: count.meta({ description: "Others that waited." }),
  }),
  standing_asks: count.meta({ description: "Asks of the pool; `asks` are those that were looked at." }),
  asks: z.array(
    z.strictObject({
      daemon: daemonId,
      power: z
        .strictObject({
          watts: count,
          nano_usd_per_kwh: count,
          decode_millitokens_per_second: positive,
          prefill_millitokens_per_second: positive,
        })
        .meta({ description: "What its floor follows from." }),
      floor: price,
      margin: factor,
      standing: price.meta({ description: "floor · margin." }),
      ask: price.meta({ description: "standing · demand." }),
      quality: z.int().min(0).max(20).meta({ description: "In twentieths; decides between equal asks." }),
      running: count,
      idle_since: count,
      newcomer: z.boolean(),
    }),
  ),
  draw: z
    .strictObject({ day: count, drawn: z.boolean(), among: z.array(daemonId) })
    .nullable()
    .meta({ description: "Null where no newcomer could be drawn." }),
  winner: daemonId,
  winning_ask: price,
  second_ask: price.nullable().meta({ description: "The lowest of the others; null where there was none." }),
}) as unknown as z.ZodType<AuctionRecord>;

/** Whether a record is of the auction that a receipt speaks of. */
export function isAuctionOf(record: AuctionRecord, { job, n, daemon, price: told }: ReceiptBody): boolean {
  const { winning_ask, second_ask, standing_asks } = record;
  const isSame = winning_ask === told.winning_ask && second_ask === told.second_ask && standing_asks === told.asks;
  return n === 0 && record.job === job && record.winner === daemon && isSame;
}
