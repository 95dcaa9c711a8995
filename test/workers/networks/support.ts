/** Private networks as their admins make them. */

import { env } from "cloudflare:workers";
import { putModel } from "../../../db/catalog.ts";
import { testModel } from "../../support/models.ts";
import { call } from "../api/support.ts";

/** A model that no other test's cache of the catalog has. */
export const MODEL = "of-networks";
export const RATES = { [MODEL]: { prompt: "0.000010", completion: "0.000123457" } };

let made = 0;

/** Makes a network of an account with a rate for {@link MODEL}, and gives its id. */
export async function makeNetwork(key: string, body: object = {}): Promise<string> {
  await putModel(env.DB, testModel({ id: MODEL, lanes: ["public"] }));
  const { json } = await call("/api/v1/networks", {
    key,
    body: { name: "Lab", rates: RATES, id: `n-${made++}`, ...body },
  });
  return json.id;
}

/** Makes an invite, and gives its token. */
export async function invite(key: string, network: string, body: object = {}): Promise<string> {
  return (await call(`/api/v1/networks/${network}/invites`, { key, body })).json.token;
}

export function join(key: string, token: string, name?: string) {
  return call("/api/v1/networks/join", { key, body: { token, ...(name === undefined ? {} : { name }) } });
}

export function remove(key: string, network: string, member: string) {
  return call(`/api/v1/networks/${network}/members/${member}`, { method: "DELETE", key });
}
