import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { listWallets } from "../../../db/wallets.ts";
import { type TestWallet, walletOf } from "../../support/wallet.ts";
import { type Answer, call, openAccount } from "../api/support.ts";
import { codeOf, proofOf, signIn } from "./support.ts";

const [second, third, lost] = [walletOf("second"), walletOf("third"), walletOf("lost")];

const challenge = (key: string, body: object) => call("/api/v1/wallets/challenge", { key, body });
const wallets = async (key: string) =>
  (await call("/api/v1/wallets", { key })).json.data.map(({ address, role }: { address: string; role: string }) => [
    address,
    role,
  ]);

async function link(key: string, wallet: TestWallet, role = "sign_in", signer = wallet): Promise<Answer> {
  const asked = await challenge(key, { purpose: "link", address: wallet.address, role });
  if (asked.status !== 200) return asked;
  return await call("/api/v1/wallets", { key, body: { ...proofOf(wallet, asked.json.message, signer), role } });
}

async function unlink(key: string, wallet: TestWallet, signer = wallet): Promise<Answer> {
  const asked = await challenge(key, { purpose: "unlink", address: signer.address, wallet: wallet.address });
  if (asked.status !== 200) return asked;
  const body = proofOf(signer, asked.json.message);
  return await call(`/api/v1/wallets/${wallet.address}`, { method: "DELETE", key, body });
}

it("links another wallet, which then signs in to the same account", async () => {
  const first = (await signIn("first")).json;
  const linked = await link(first.access_token, second);
  expect([linked.status, linked.json.member, linked.json.role]).toEqual([200, first.member, "sign_in"]);
  expect(await wallets(first.access_token)).toEqual([
    [walletOf("first").address, "sign_in"],
    [second.address, "sign_in"],
  ]);
  const other = await signIn("second");
  expect([other.json.account, other.json.member, other.json.opened]).toEqual([first.account, first.member, false]);
  expect((await link(first.access_token, second)).status).toBe(200);
});

it("shows a wallet's owner what it signs, and takes that for nothing else", async () => {
  const [first, other] = [(await signIn("first")).json, (await signIn("other")).json];
  const asked = await challenge(first.access_token, { purpose: "link", address: second.address, role: "sign_in" });
  expect(asked.json.message).toContain(`Link this wallet to the Tollmill account ${first.account}, to sign in to it.`);
  const body = proofOf(second, asked.json.message);
  const misused = [
    await call("/api/v1/auth/verify", { body }),
    await call("/api/v1/wallets", { key: first.access_token, body: { ...body, role: "recovery" } }),
    await call("/api/v1/wallets", { key: other.access_token, body: { ...body, role: "sign_in" } }),
  ];
  for (const answer of misused) expect(codeOf(answer)).toEqual([401, "invalid_challenge"]);
  const wrong = await link(first.access_token, third, "sign_in", second);
  expect(codeOf(wrong)).toEqual([401, "invalid_signature"]);
  expect(await wallets(first.access_token)).toHaveLength(1);
});

it("leaves a wallet with the account that has it, also where two link it at once", async () => {
  const [first, other] = [(await signIn("first")).json, (await signIn("other")).json];
  const answers = await Promise.all([link(first.access_token, second), link(other.access_token, second)]);
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409]);
  const loser = answers.find(({ status }) => status === 409);
  expect(loser?.json.code).toBe("wallet_linked");
  expect(codeOf(await link(first.access_token, walletOf("other")))).toEqual([409, "wallet_linked"]);
  expect(await listWallets(env.DB)).toHaveLength(3);
});

it("unlinks by the wallet's own word or another one's, and ends what it began", async () => {
  const first = (await signIn("first")).json;
  await link(first.access_token, second);
  const other = (await signIn("second")).json;
  expect(codeOf(await unlink(first.access_token, second, third))).toEqual([404, "wallet_not_found"]);
  expect((await unlink(first.access_token, second, walletOf("first"))).json).toEqual({
    address: second.address,
    unlinked: true,
  });
  expect((await call("/api/v1/balance", { key: other.access_token })).status).toBe(401);
  expect((await call("/api/v1/balance", { key: first.access_token })).status).toBe(200);
  expect((await unlink(first.access_token, second, walletOf("first"))).json.unlinked).toBe(false);
  // It is nobody's now, and never the account's again by itself.
  const own = await signIn("second");
  expect([own.json.opened, own.json.account === first.account]).toEqual([true, false]);
});

it("never unlinks the last wallet that signs in, also where two go at once", async () => {
  const first = (await signIn("first")).json;
  await link(first.access_token, lost, "recovery");
  expect(codeOf(await unlink(first.access_token, walletOf("first")))).toEqual([409, "last_wallet"]);
  await link(first.access_token, second);
  const answers = await Promise.all([
    unlink(first.access_token, walletOf("first")),
    unlink(first.access_token, second),
  ]);
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  const left = (await listWallets(env.DB)).filter(({ role }) => role === "sign_in");
  expect(left).toHaveLength(1);
});

it("restores access by a recovery wallet, which can do nothing else", async () => {
  const first = (await signIn("first")).json;
  expect((await link(first.access_token, lost, "recovery")).status).toBe(200);
  const apiKey = (await call("/api/v1/keys", { key: first.access_token, body: { name: "k" } })).json.key;
  const { json } = await signIn("lost");
  expect([json.account, json.recovery, json.starter]).toEqual([first.account, true, null]);
  expect(Date.parse(json.expires_at) - Date.parse(json.created_at)).toBe(15 * 60_000);
  const key = json.access_token;
  const forbidden = [
    await call("/api/v1/balance", { key }),
    await call("/api/v1/keys", { key }),
    await call("/api/v1/keys", { key, body: { name: "k" } }),
    await call("/api/v1/team", { key }),
    await call("/api/v1/transfers", { key, body: { to: first.account, amount: "1", id: "x" } }),
    await call("/api/v1/auth/sessions", { key }),
    await call("/api/v1/wallets", { key }),
    await link(key, third, "recovery"),
    await unlink(key, walletOf("first"), lost),
  ];
  for (const answer of forbidden) expect(codeOf(answer)).toEqual([403, "forbidden"]);
  expect((await link(key, third)).status).toBe(200);
  for (const ended of [key, first.access_token])
    expect((await call("/api/v1/balance", { key: ended })).status).toBe(401);
  expect((await signIn("first")).json.opened).toBe(true);
  const back = (await signIn("third")).json;
  expect([back.account, back.member, back.recovery]).toEqual([first.account, first.member, false]);
  expect(await wallets(back.access_token)).toEqual([
    [lost.address, "recovery"],
    [third.address, "sign_in"],
  ]);
  expect((await call("/api/v1/balance", { key: apiKey })).status).toBe(200);
});

it("lets members sign in with wallets of their own, with their role's scopes, until they are removed", async () => {
  const owner = (await signIn("first")).json;
  const invite = await call("/api/v1/team/invites", { key: owner.access_token, body: { role: "developer" } });
  const { json } = await call("/api/v1/team/join", { body: { token: invite.json.token, name: "Ada" } });
  expect((await link(json.api_key, second)).status).toBe(200);
  const ada = (await signIn("second")).json;
  expect([ada.account, ada.member]).toEqual([owner.account, json.member.id]);
  const key = ada.access_token;
  const send = () => call("/api/v1/transfers", { key, body: { to: owner.account, amount: "1", id: "x" } });
  expect(codeOf(await send())).toEqual([403, "forbidden"]);
  expect((await call("/api/v1/keys", { key, body: { name: "k" } })).status).toBe(201);
  const member = `/api/v1/team/members/${ada.member}`;
  const change = (role: string) => call(member, { method: "PATCH", key: owner.access_token, body: { role } });
  await change("viewer");
  expect(codeOf(await call("/api/v1/keys", { key }))).toEqual([403, "forbidden"]);
  await change("billing");
  expect((await call("/api/v1/keys", { key })).status).toBe(200);
  expect(codeOf(await send())).not.toEqual([403, "forbidden"]);
  // An owner sees everyone's sessions and ends them.
  const all = (await call("/api/v1/auth/sessions", { key: owner.access_token })).json.data;
  expect(all.map(({ member: whose }: { member: string }) => whose)).toEqual([owner.member, ada.member]);
  expect((await call("/api/v1/auth/sessions", { key })).json.data).toHaveLength(1);
  expect((await call(member, { method: "DELETE", key: owner.access_token })).status).toBe(200);
  expect((await call("/api/v1/balance", { key })).status).toBe(401);
  const own = (await signIn("second")).json;
  expect([own.opened, own.account === owner.account]).toEqual([true, false]);
});

it("lets no key for less, or for a time, look after wallets", async () => {
  const { key } = await openAccount("wallets");
  expect((await link(key, second)).status).toBe(200);
  const scopes = ["inference", "read", "manage", "transfer", "supply"];
  const less = { name: "less", scopes: scopes.slice(0, 4) };
  const brief = { name: "brief", scopes, expires_at: new Date(Date.now() + 60_000).toISOString() };
  for (const body of [less, brief]) {
    const made = (await call("/api/v1/keys", { key, body })).json.key;
    expect(codeOf(await link(made, third))).toEqual([403, "forbidden"]);
    expect(codeOf(await unlink(made, second))).toEqual([403, "forbidden"]);
  }
});

it("tells all wallets page by page", async () => {
  for (const name of ["a", "b", "c"]) await signIn(name);
  const all = await listWallets(env.DB);
  expect(all.map(({ address }) => address)).toEqual(
    ["a", "b", "c"].map((name) => walletOf(name).address as string).toSorted(),
  );
  const first = await listWallets(env.DB, { limit: 2 });
  const rest = await listWallets(env.DB, { limit: 2, after: first[1]?.address ?? "" });
  expect([...first, ...rest]).toEqual(all);
});
