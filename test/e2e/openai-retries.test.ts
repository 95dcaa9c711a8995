/** The official client's own retries: it repeats some requests by itself, and none of them may be paid twice. */

import { ConflictError } from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testModel } from "../support/models.ts";
import { cleanUp } from "./support/children.ts";
import { Daemon } from "./support/daemon.ts";
import { costing, Network, type TestAccount, TOY_MODEL, until } from "./support/network.ts";
import { ASKED, apiErrorOf, clientOf, counting, errorOf, type Fetch } from "./support/openai.ts";
import { rawChat } from "./support/raw-client.ts";
import { addScripted, talkUntilCancelled } from "./support/scripted.ts";

const TOY = TOY_MODEL.id;
/** Every daemon of this model fails before its first token. */
const FAILING = testModel({ id: "failing-model" });
/** This one's daemon talks until it is told to stop. */
const TALKING = testModel({ id: "talking-model" });
const UNSERVED = testModel({ id: "unserved-model" });

let network: Network;
beforeAll(async () => {
  network = await Network.start([TOY_MODEL, FAILING, TALKING, UNSERVED]);
  const provider = await network.open({ starter: false });
  await Daemon.start(network, provider);
  for (const number of [1, 2, 3]) {
    await addScripted(network, provider, {
      number,
      model: FAILING.id,
      daemons: number,
      onJob: (job) => {
        job.accept();
        job.fail();
      },
    });
  }
  const talking = await addScripted(network, provider, {
    number: 4,
    model: TALKING.id,
    onJob: (job) => talkUntilCancelled(job, talking.daemon),
  });
  await network.supply(TOY, 1);
});
afterAll(async () => {
  await cleanUp();
  await network?.close();
});

describe.concurrent("the client's own retries", () => {
  it.for([false, true])("do not repeat a job that every provider failed (stream: %s)", async (stream) => {
    const account = await network.open();
    const { requests, fetch } = counting();
    const { result, paid, held } = await costing(network, account, () =>
      errorOf(
        clientOf(network, account, { fetch }).chat.completions.create({ model: FAILING.id, messages: ASKED, stream }),
      ),
    );
    const error = apiErrorOf(result);
    expect(error).toMatchObject({ status: 502, code: "provider_failed" });
    expect(error.headers?.get("x-should-retry")).toBe("false");
    expect(requests).toHaveLength(1);
    expect({ paid, held }).toEqual({ paid: 0, held: 0 });
  });

  it("ask again where nobody serves a model, and pay nothing for it", async () => {
    const account = await network.open();
    const { requests, fetch } = counting(async (...call) => {
      const response = await globalThis.fetch(...call);
      expect(response.headers.get("retry-after")).toBe("5");
      // Obeyed to the letter this would only take longer.
      const headers = new Headers(response.headers);
      headers.set("retry-after-ms", "100");
      return new Response(response.body, { status: response.status, headers });
    });
    const { result, paid, held } = await costing(network, account, () =>
      errorOf(
        clientOf(network, account, { fetch, maxRetries: 1 }).chat.completions.create({
          model: UNSERVED.id,
          messages: ASKED,
        }),
      ),
    );
    const error = apiErrorOf(result);
    expect(error).toMatchObject({ status: 503, code: "no_provider" });
    expect(error.headers?.get("x-should-retry")).toBeNull();
    expect(requests).toHaveLength(2);
    expect({ paid, held }).toEqual({ paid: 0, held: 0 });
  });

  // The client's `idempotencyKey` option is sent only by subclasses that name a header for it, so the header is given.
  it("do not pay twice for an answer that was lost after its last byte", async () => {
    const account = await network.open();
    const { requests, fetch } = counting(
      losing(async (url, init) => {
        const response = await globalThis.fetch(url, init);
        expect(response.status).toBe(200);
        await response.text();
      }),
    );
    const { result, paid, held } = await costing(network, account, () =>
      errorOf(
        clientOf(network, account, { fetch }).chat.completions.create(
          { model: TOY, messages: ASKED },
          { headers: { "Idempotency-Key": "lost-at-the-end" } },
        ),
      ),
    );
    expect(result).toBeInstanceOf(ConflictError);
    expect(apiErrorOf(result).code).toBe("already_completed");
    // The first, and one more: what has been answered tells the client not to ask again.
    expect(requests.map((init) => new Headers(init.headers).get("idempotency-key"))).toEqual([
      "lost-at-the-end",
      "lost-at-the-end",
    ]);
    await expectOneReceipt(account, { paid, held });
    const [receipt] = await network.receipts(account);
    expect(apiErrorOf(result).error).toMatchObject({ metadata: { receipt: receipt?.job, outcome: "completed" } });
  });

  it("do not pay twice for an answer that was lost on its way", async () => {
    const account = await network.open();
    const { fetch } = counting(
      losing(async (_url, init) => {
        const body = JSON.parse(init?.body as string) as object;
        const answer = await rawChat(network, account, body, { "Idempotency-Key": "lost-on-its-way" });
        await answer.until("word");
        answer.reset();
      }),
    );
    const { result } = await costing(network, account, () =>
      errorOf(
        clientOf(network, account, { fetch }).chat.completions.create(
          { model: TALKING.id, messages: ASKED, stream: true },
          { headers: { "Idempotency-Key": "lost-on-its-way" } },
        ),
      ),
    );
    expect(result).toBeInstanceOf(ConflictError);
    expect(["in_progress", "already_completed"]).toContain(apiErrorOf(result).code);
    await until(async () => (await network.balance(account)).held === 0, "the end of the abandoned job");
    const { available, held } = await network.balance(account);
    await expectOneReceipt(account, { paid: 1_200_000 - available, held });
    expect((await network.receipts(account))[0]).toMatchObject({ outcome: "cancelled" });
  });

  it("do pay for a new request under a new key", async () => {
    const account = await network.open();
    const client = clientOf(network, account);
    for (const key of ["first", "second"]) {
      await client.chat.completions.create({ model: TOY, messages: ASKED }, { headers: { "Idempotency-Key": key } });
    }
    expect(await network.receipts(account)).toHaveLength(2);
  });
});

/** A fetch whose first answer gets lost in the given way; the client sees a broken connection. */
function losing(lose: (...call: Parameters<Fetch>) => Promise<void>): Fetch {
  let isFirst = true;
  return async (...call) => {
    if (!isFirst) return await fetch(...call);
    isFirst = false;
    await lose(...call);
    throw new TypeError("the connection broke");
  };
}

async function expectOneReceipt(account: TestAccount, { paid, held }: { paid: number; held: number }): Promise<void> {
  const receipts = await network.receipts(account);
  expect(receipts).toHaveLength(1);
  expect({ paid, held }).toEqual({ paid: receipts[0]?.charge.millicredits, held: 0 });
  expect(paid).toBeGreaterThan(0);
}
