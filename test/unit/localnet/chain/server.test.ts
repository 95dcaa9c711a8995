import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { Keypair, SystemProgram } from "@solana/web3.js";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { INSTRUCTION_ERRORS, TRANSACTION_ERRORS } from "../../../../localnet/chain/machine-errors.ts";
import { FAUCET, ONE_MINT, USDC_MINT } from "../../../../localnet/chain/mints.ts";
import { startChain } from "../../../../localnet/chain/start-chain.ts";
import { root } from "../../source-files.ts";
import { memo, send, start } from "./support.ts";

const portOf = (url: string): number => Number(new URL(url).port);

async function listenOn(port: number): Promise<void> {
  const server = createServer().listen(port, "127.0.0.1");
  await once(server, "listening");
  server.close();
  await once(server, "close");
}

describe("the chain's address", () => {
  it("is free again after a stop, whoever was connected", async () => {
    const chain = await startChain({ clock: "running", slotMs: 10 });
    const port = portOf(chain.url);
    expect(portOf(chain.wsUrl)).toBe(port + 1);
    const socket = new WebSocket(chain.wsUrl);
    await once(socket, "open");
    const gone = once(socket, "close");
    await chain.close();
    await gone;
    await listenOn(port);
    await listenOn(port + 1);
    const slot = chain.chain.slot;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(chain.chain.slot).toBe(slot);
    const again = await startChain({ port });
    expect(portOf(again.url)).toBe(port);
    await again.close();
  });

  it("is refused where one of its ports is taken, and nothing is left open", async () => {
    const chain = await start();
    const port = portOf(chain.url);
    await expect(startChain({ port })).rejects.toMatchObject({ code: "EADDRINUSE" });
    await expect(startChain({ port: port - 1 })).rejects.toMatchObject({ code: "EADDRINUSE" });
    await listenOn(port - 1);
  });
});

describe("a subscription", () => {
  async function open(url: string) {
    const socket = new WebSocket(url);
    const messages: unknown[] = [];
    socket.on("message", (data: Buffer) => messages.push(JSON.parse(data.toString("utf8"))));
    await once(socket, "open");
    const ask = async (id: number, method: string, params: unknown[]) => {
      const before = messages.length;
      socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
      while (messages.length === before) await once(socket, "message");
      return messages[before];
    };
    return { socket, messages, ask };
  }

  it("is told once, when its signature has come far enough, with the error if it failed", async () => {
    const { chain, client, payer, wsUrl, faults } = await start({ finalizedAfter: 5 });
    faults.add({ kind: "fail", times: 1 });
    const pay = SystemProgram.transfer({
      fromPubkey: payer.publicKey,
      toPubkey: Keypair.generate().publicKey,
      lamports: 900_000,
    });
    const signature = await send(client, [payer], pay);
    const { messages, ask, socket } = await open(wsUrl);
    expect(await ask(1, "signatureSubscribe", [signature, { commitment: "finalized" }])).toMatchObject({
      id: 1,
      result: 1,
    });
    expect(await ask(2, "signatureSubscribe", [signature, { commitment: "confirmed" }])).toMatchObject({
      id: 2,
      result: 2,
    });
    expect(await ask(3, "signatureSubscribe", ["nonsense"])).toMatchObject({ error: { code: -32602 } });
    expect(await ask(4, "accountSubscribe", [])).toMatchObject({ error: { code: -32601 } });
    chain.advance(1);
    chain.advance(3);
    await once(socket, "message");
    chain.advance(1);
    await once(socket, "message");
    const told = messages.slice(4) as { params: { subscription: number; result: { value: object } } }[];
    expect(told.map(({ params }) => [params.subscription, params.result.value])).toEqual([
      [2, { err: { InstructionError: [0, { Custom: 9_999 }] } }],
      [1, { err: { InstructionError: [0, { Custom: 9_999 }] } }],
    ]);
    expect(await ask(5, "signatureUnsubscribe", [1])).toMatchObject({ error: { message: "Invalid subscription id." } });
    socket.terminate();
  });

  it("that was taken back is told nothing", async () => {
    const { chain, client, payer, wsUrl } = await start();
    const signature = await client.requestAirdrop(payer.publicKey, 1_000_000);
    const { messages, ask, socket } = await open(wsUrl);
    await ask(1, "signatureSubscribe", [signature, { commitment: "confirmed" }]);
    expect(await ask(2, "signatureUnsubscribe", [1])).toMatchObject({ result: true });
    chain.advance(1);
    await ask(3, "ping", []);
    expect(messages).toHaveLength(3);
    socket.terminate();
  });
});

describe("the pages", () => {
  const read = async (url: string) => {
    const response = await fetch(url);
    return { status: response.status, text: await response.text() };
  };

  it("show the last transactions, one of them, and an address", async () => {
    const { url, client, payer, faucet } = await start();
    const address = payer.publicKey.toBase58();
    const gift = await faucet.give({ address, one: "7.25" });
    const tooMuch = await client.requestAirdrop(payer.publicKey, 1_500_000_000);
    const home = await read(url);
    expect(home.status).toBe(200);
    for (const seen of [gift.signature, tooMuch].map((one) => `/tx/${one}`)) expect(home.text).toContain(seen);
    expect(home.text).toContain(USDC_MINT);
    const one = await read(`${url}/tx/${gift.signature}`);
    expect(one.text).toMatch(new RegExp(`${address}</a></td><td class="n">\\+7.25</td><td>\\$ONE</td>`));
    expect(one.text).toContain(FAUCET);
    const holder = await read(`${url}/address/${address}`);
    expect(holder.text).toMatch(/<dt>\$ONE<\/dt>\s*<dd>7\.25 in/);
    expect(holder.text).toContain("<dd>2.5</dd>");
    expect((await read(`${url}/address/${ONE_MINT}`)).text).toContain("7.25 $ONE");
    expect((await read(`${url}/tx/${"1".repeat(64)}`)).status).toBe(404);
    expect((await read(`${url}/nothing`)).status).toBe(404);
  });

  it("write down nothing of a transaction unescaped", async () => {
    const { url, payer, client } = await start();
    const signature = await send(client, [payer], memo("<script>alert(1)</script>"));
    for (const path of ["", `/tx/${signature}`]) {
      const { text } = await read(url + path);
      expect(text).toContain("&lt;script&gt;");
      expect(text).not.toContain("<script>");
    }
  });
});

describe("over HTTP", () => {
  const json = { "content-type": "application/json" };

  it("the faucet gives what is asked for, or says why not", async () => {
    const { url } = await start();
    const address = Keypair.generate().publicKey.toBase58();
    const ask = async (body: object, headers: Record<string, string> = json) => {
      const response = await fetch(`${url}/faucet`, { method: "POST", headers, body: JSON.stringify(body) });
      return [response.status, await response.json()] as [number, { detail: string }];
    };
    expect(await ask({ address, sol: "2", usdc: "0.000001" })).toMatchObject([
      200,
      { balance: { sol: "2", usdc: "0.000001", one: "0" } },
    ]);
    for (const [body, status, words] of [
      [{ address: "me", sol: "1" }, 422, "me is no address"],
      [{ address }, 422, "Nothing was asked for"],
      [{ address, usdc: "0.0000001" }, 422, "at most 6 places"],
      [{ address, sol: "10001" }, 422, "at most 10000 SOL"],
      [{ address, sol: "-1" }, 400, "decimal number"],
      [{ address, eth: "1" }, 400, "eth"],
    ] as const) {
      const [code, { detail }] = await ask(body);
      expect([code, detail]).toEqual([status, expect.stringContaining(words)]);
    }
    // What a page of another origin could send without asking.
    expect((await ask({ address, sol: "1" }, { "content-type": "text/plain" }))[0]).toBe(415);
  });

  it("faults are set, read and cleared", async () => {
    const { url, client } = await start();
    const faults = async (method: string, body?: unknown) => {
      const init = body === undefined ? { method } : { method, headers: json, body: JSON.stringify(body) };
      const response = await fetch(`${url}/faults`, init);
      return [response.status, await response.json()];
    };
    const lag = { kind: "lag", slots: 2, times: 2 };
    expect(await faults("POST", [lag])).toEqual([200, { waiting: [lag], happened: {} }]);
    await client.getSlot();
    expect(await faults("GET")).toEqual([200, { waiting: [{ ...lag, times: 1 }], happened: { lag: 1 } }]);
    expect(await faults("DELETE")).toEqual([200, { waiting: [], happened: { lag: 1 } }]);
    expect(await faults("POST", [{ kind: "explode" }])).toMatchObject([400, {}]);
    expect(await faults("PUT")).toMatchObject([405, {}]);
  });

  it("lets pages of other origins call the chain, and neither faucet nor faults", async () => {
    const { url } = await start();
    const asked = await fetch(url, { method: "OPTIONS" });
    expect([asked.status, asked.headers.get("access-control-allow-origin")]).toEqual([204, "*"]);
    for (const path of ["/faucet", "/faults"]) {
      const refused = await fetch(url + path, { method: "OPTIONS" });
      expect([refused.ok, refused.headers.get("access-control-allow-origin")]).toEqual([false, null]);
    }
    const body = "x".repeat(2_000_000);
    expect((await fetch(url, { method: "POST", body })).status).toBe(413);
  });
});

it("names errors as litesvm numbers them", () => {
  const types = readFileSync(join(root, "node_modules", "litesvm", "dist", "internal.d.ts"), "utf8");
  const names = (of: string) =>
    [...(new RegExp(`const enum ${of} \\{([^}]*)\\}`).exec(types)?.[1] ?? "").matchAll(/(\w+) = (\d+)/g)].map(
      ([, name, place]) => [Number(place), name],
    );
  expect(names("TransactionErrorFieldless")).toEqual([...TRANSACTION_ERRORS.entries()]);
  expect(names("InstructionErrorFieldless")).toEqual([...INSTRUCTION_ERRORS.entries()]);
});
