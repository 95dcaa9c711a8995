/** What tests of the official client share. */

import OpenAI, { APIError } from "openai";
import { expect } from "vitest";
import { formatCredits, type Millicredits } from "../../../core/units.ts";
import type { Usage } from "../../../protocol/openai/chat.ts";
import { type Network, QUESTION } from "./network.ts";

export const ASKED = [{ role: "user" as const, content: QUESTION }];

export type Fetch = (url: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** The official client, unmodified. */
export function clientOf(
  network: Network,
  { apiKey }: { apiKey: string },
  options: { maxRetries?: number; fetch?: Fetch } = {},
): OpenAI {
  return new OpenAI({ baseURL: `${network.url}/v1`, apiKey, ...options });
}

/** A fetch that remembers what it sent. */
export function counting(send: Fetch = fetch): { fetch: Fetch; requests: RequestInit[] } {
  const requests: RequestInit[] = [];
  return {
    requests,
    fetch: (url, init = {}) => {
      requests.push(init);
      return send(url, init);
    },
  };
}

/** The error that a call ends with; a call that succeeds fails the test. */
export async function errorOf(call: PromiseLike<unknown>): Promise<unknown> {
  return await Promise.resolve(call).then(
    () => expect.unreachable("the call should have failed"),
    (error: unknown) => error,
  );
}

export function apiErrorOf(error: unknown): APIError {
  expect(error).toBeInstanceOf(APIError);
  return error as APIError;
}

/** Our additions to the usage object, of a job that has a receipt, are not in the client's types. */
export const usageOf = (usage: unknown) => usage as Usage & { readonly receipt: string };
export const credits = (amount: number): string => formatCredits(amount as Millicredits);
