/** JSON-RPC 2.0 over one body of HTTP: a single call or a batch, and the faults that meet them. */

import type { Address } from "@solana/kit";
import { z } from "zod";
import { RPC_CODE, RpcError } from "../errors.ts";
import type { Faults, Met } from "../faults.ts";
import type { LocalChain } from "../local-chain.ts";
import { accountMethods } from "./account-methods.ts";
import { chainMethods } from "./chain-methods.ts";
import { historyMethods } from "./history-methods.ts";
import type { Method } from "./method.ts";
import { sendMethods } from "./send-methods.ts";
import { tokenMethods } from "./token-methods.ts";

const methods: ReadonlyMap<string, Method> = new Map(
  Object.entries({ ...chainMethods, ...accountMethods, ...tokenMethods, ...sendMethods, ...historyMethods }),
);

/** The methods that are answered. */
export const METHODS: readonly string[] = [...methods.keys()];

const id = z.union([z.string(), z.number(), z.null()]);
const request = z.object({
  jsonrpc: z.literal("2.0"),
  id: id.optional(),
  method: z.string(),
  params: z.unknown().optional(),
});
type Request = z.infer<typeof request>;

export interface Served {
  readonly chain: LocalChain;
  readonly faults: Faults;
  readonly airdrop: (address: Address, lamports: bigint) => Promise<string>;
}

/** What becomes of a body: an answer (without a body where none is due), too many calls, or a broken connection. */
export type Reply =
  | { readonly kind: "answer"; readonly body: string | null }
  | { readonly kind: "rate_limit" }
  | { readonly kind: "break"; readonly waitMs: number };

export async function reply(served: Served, body: string): Promise<Reply> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return answer(refusal(null, new RpcError(RPC_CODE.parse, "Parse error")));
  }
  const calls = (Array.isArray(parsed) ? parsed : [parsed]).map((call) => {
    const read = request.safeParse(call);
    return { request: read.data ?? null, met: read.success ? served.faults.meet(read.data.method) : {} };
  });
  if (calls.length === 0) return answer(refusal(null, new RpcError(RPC_CODE.invalidRequest, "Invalid request")));
  if (calls.some(({ met }) => met.rate_limit !== undefined)) return { kind: "rate_limit" };
  const before = calls.find(({ met }) => met.break_before !== undefined)?.met.break_before;
  if (before !== undefined) return { kind: "break", waitMs: before.waitMs };
  const answers: (object | null)[] = [];
  // One after the other, since a batch may send and then ask.
  for (const { request, met } of calls) answers.push(await run(served, request, met));
  const after = calls.find(({ met }) => met.break_after !== undefined)?.met.break_after;
  if (after !== undefined) return { kind: "break", waitMs: after.waitMs };
  const due = answers.filter((one) => one !== null);
  if (due.length === 0) return { kind: "answer", body: null };
  return answer(Array.isArray(parsed) ? due : due[0]);
}

function answer(value: unknown): Reply {
  return { kind: "answer", body: JSON.stringify(value) };
}

/** null: nobody waits for an answer, as the call had no id. */
async function run({ chain, airdrop }: Served, call: Request | null, met: Met): Promise<object | null> {
  if (call === null) return refusal(null, new RpcError(RPC_CODE.invalidRequest, "Invalid request"));
  const { id, method: name, params } = call;
  try {
    const method = methods.get(name);
    if (method === undefined) throw new RpcError(RPC_CODE.methodNotFound, "Method not found");
    const result = await method({ chain, view: chain.view(met.lag?.slots), met, airdrop }, params);
    return id === undefined ? null : { jsonrpc: "2.0", result, id };
  } catch (error) {
    return id === undefined ? null : refusal(id, error);
  }
}

function refusal(id: string | number | null, error: unknown): object {
  if (error instanceof RpcError) {
    const { code, message, data } = error;
    return { jsonrpc: "2.0", error: { code, message, ...(data === undefined ? {} : { data }) }, id };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { jsonrpc: "2.0", error: { code: RPC_CODE.internal, message: `Internal error: ${message}` }, id };
}
