/** What may happen to one deposit, and what has to become of it. */

import type { DepositMarket, Payment } from "./market.ts";

/** State, reason and micro-USDC of a deposit, as text. */
export type Outcome = string;

export interface Trouble {
  readonly name: string;
  /** Pays for a reference, of so many micro-USDC asked for, and says what has to come of it. */
  readonly pay: (market: DepositMarket, intent: { id: string; reference: string }, asked: bigint) => Promise<Outcome[]>;
}

const exact = (units: bigint): Outcome => `credited exact ${units}`;

async function pay(market: DepositMarket, payment: Payment): Promise<Buffer> {
  const bytes = await market.sign(payment);
  await market.send(bytes);
  return bytes;
}

/** What everybody hopes for. */
export const SMOOTH: Trouble = {
  name: "smooth",
  pay: async (market, { reference }, units) => {
    await pay(market, { reference, units });
    return [exact(units)];
  },
};

export const TROUBLES: readonly Trouble[] = [
  {
    name: "dropped, then sent again",
    pay: async (market, { reference }, units) => {
      market.chain.faults.add({ kind: "drop", method: "sendTransaction", times: 1 });
      const bytes = await pay(market, { reference, units });
      await market.send(bytes);
      return [exact(units)];
    },
  },
  {
    name: "delayed",
    pay: async (market, { reference }, units) => {
      market.chain.faults.add({ kind: "delay", slots: 25, method: "sendTransaction", times: 1 });
      await pay(market, { reference, units });
      return [exact(units)];
    },
  },
  {
    name: "failed, then paid",
    pay: async (market, { reference }, units) => {
      market.chain.faults.add({ kind: "fail", method: "sendTransaction", times: 1 });
      await pay(market, { reference, units });
      await pay(market, { reference, units });
      return ["failed failed 0", exact(units)];
    },
  },
  {
    name: "landed behind a broken connection, then sent again",
    pay: async (market, { reference }, units) => {
      market.chain.faults.add({ kind: "break_after", method: "sendTransaction", times: 1 });
      const bytes = await pay(market, { reference, units });
      await market.send(bytes);
      return [exact(units)];
    },
  },
  {
    name: "the same bytes three times",
    pay: async (market, { reference }, units) => {
      const bytes = await pay(market, { reference, units });
      await Promise.all([market.send(bytes), market.send(bytes)]);
      return [exact(units)];
    },
  },
  {
    name: "paid twice",
    pay: async (market, { reference }, units) => {
      await pay(market, { reference, units });
      await pay(market, { reference, units });
      return [exact(units), exact(units)];
    },
  },
  {
    name: "another coin",
    pay: async (market, { reference }) => {
      await pay(market, { reference, units: 1_000n, wrongMint: true });
      return ["suspense wrong_mint 0"];
    },
  },
  {
    name: "short",
    pay: async (market, { reference }, units) => {
      await pay(market, { reference, units: units - 1n });
      return [`credited short ${units - 1n}`];
    },
  },
  {
    name: "over",
    pay: async (market, { reference }, units) => {
      await pay(market, { reference, units: units + 1n });
      return [`credited over ${units + 1n}`];
    },
  },
  {
    name: "late",
    pay: async (market, { id, reference }, units) => {
      await market.expire(id);
      await pay(market, { reference, units });
      return [`credited late ${units}`];
    },
  },
  {
    name: "without a reference",
    pay: async (market, _intent, units) => {
      await pay(market, { reference: null, units });
      return [];
    },
  },
];

/** Those whose payment nobody can tell. */
export const isUnknown = ({ name }: Trouble): boolean => name === "without a reference";
