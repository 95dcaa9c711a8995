/** The official client, unmodified, against the running Worker and a daemon in a process of its own. */

import { type APIError, AuthenticationError, BadRequestError, NotFoundError } from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { softStop } from "../../protocol/openai/soft-stop.ts";
import { errorEvent, STREAM_HEADERS } from "../../protocol/openai/stream.ts";
import { testModel } from "../support/models.ts";
import { cleanUp } from "./support/children.ts";
import { Daemon } from "./support/daemon.ts";
import { ANSWER, costing, Network, QUESTION, TOY_MODEL } from "./support/network.ts";
import { ASKED, apiErrorOf, clientOf, counting, credits, errorOf, usageOf } from "./support/openai.ts";

const TOY = TOY_MODEL.id;

const UNSERVED = testModel({ id: "unserved-model" });

let network: Network;
beforeAll(async () => {
  network = await Network.start([TOY_MODEL, UNSERVED]);
  await Daemon.start(network, await network.open({ starter: false }));
  await network.supply(TOY, 1);
});
afterAll(async () => {
  await cleanUp();
  await network?.close();
});

describe.concurrent("answers", () => {
  it("lists the models", async () => {
    const client = clientOf(network, await network.open());
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    expect(ids.toSorted()).toEqual([TOY, UNSERVED.id]);
    expect(await client.models.retrieve(TOY)).toMatchObject({ id: TOY, object: "model", context_length: 512 });
  });

  it("come whole, with what they cost", async () => {
    const account = await network.open();
    const { result, paid, held } = await costing(network, account, () =>
      clientOf(network, account).chat.completions.create({ model: TOY, messages: ASKED, temperature: 0 }),
    );
    expect(result.choices[0]).toMatchObject({
      message: { role: "assistant", content: ANSWER },
      finish_reason: "stop",
    });
    const usage = usageOf(result.usage);
    expect(usage).toMatchObject({ prompt_tokens: 8, completion_tokens: 34, total_tokens: 42, lane: "public" });
    const receipt = await network.receipt(usage.receipt, account);
    // What the machine asks follows from how fast it was measured to be: 34 completion tokens, and 8 that weigh a quarter.
    const ask = receipt.price.winning_ask ?? 0;
    const due = Math.ceil((ask * (34 + 8 / 4)) / 1_000);
    expect(ask).toBeLessThanOrEqual(80_000);
    expect(usage.cost).toBe((due / 1_000).toFixed(3));
    expect(receipt).toMatchObject({ outcome: "completed", model: TOY, charge: { millicredits: due } });
    expect({ paid, held }).toEqual({ paid: due, held: 0 });
  });

  it("come as a stream, with what they cost in the last chunk", async () => {
    const account = await network.open();
    const { result, paid, held } = await costing(network, account, async () => {
      const stream = await clientOf(network, account).chat.completions.create({
        model: TOY,
        messages: ASKED,
        temperature: 0,
        stream: true,
        stream_options: { include_usage: true },
      });
      const chunks = [];
      for await (const chunk of stream) chunks.push(chunk);
      return chunks;
    });
    expect(result.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("")).toBe(ANSWER);
    expect(result.filter((chunk) => chunk.choices[0]?.finish_reason === "stop")).toHaveLength(1);
    const usage = usageOf(result.at(-1)?.usage);
    const receipt = await network.receipt(usage.receipt, account);
    expect(usage.cost).toBe(credits(receipt.charge.millicredits));
    expect({ paid, held }).toEqual({ paid: receipt.charge.millicredits, held: 0 });
  });

  it("tell their job, the balance and when credits refresh in headers", async () => {
    const account = await network.open();
    const call = clientOf(network, account).chat.completions.create({ model: TOY, messages: ASKED, max_tokens: 64 });
    const { data, response } = await call.withResponse();
    expect(response.headers.get("x-job-id")).toBe(usageOf(data.usage).receipt);
    expect(response.headers.get("x-should-retry")).toBe("false");
    // 64 completion tokens, and 17 bytes and 16 tokens of the template for the prompt.
    expect(response.headers.get("x-credits-held")).toBe(credits(64 * 80 + (QUESTION.length + 16) * 20));
    expect(response.headers.get("x-credits-refresh")).toMatch(/^\d{4}-\d\d-\d\dT00:00:00Z$/);
  });

  it("carry log probabilities", async () => {
    const answer = await clientOf(network, await network.open()).chat.completions.create({
      model: TOY,
      messages: ASKED,
      temperature: 0,
      logprobs: true,
      top_logprobs: 2,
    });
    const tokens = answer.choices[0]?.logprobs?.content ?? [];
    expect(tokens.map(({ token }) => token).join("")).toBe(ANSWER);
    for (const { token, logprob, top_logprobs: top } of tokens) {
      expect(logprob).toBeLessThanOrEqual(0);
      expect(top).toHaveLength(2);
      // At temperature 0 the likeliest token is the one chosen.
      expect(top[0]?.token).toBe(token);
    }
  });

  it("come in several choices, each of them paid", async () => {
    const answer = await clientOf(network, await network.open()).chat.completions.create({
      model: TOY,
      messages: ASKED,
      temperature: 0,
      n: 2,
    });
    expect(answer.choices.map(({ index, message }) => [index, message.content])).toEqual([
      [0, ANSWER],
      [1, ANSWER],
    ]);
    expect(answer.usage).toMatchObject({ prompt_tokens: 8, completion_tokens: 68 });
  });

  it("end before a stop sequence", async () => {
    const answer = await clientOf(network, await network.open()).chat.completions.create({
      model: TOY,
      messages: ASKED,
      temperature: 0,
      stop: [" for AI"],
    });
    expect(answer.choices[0]).toMatchObject({
      message: { content: "Tollmill is an open market" },
      finish_reason: "stop",
    });
  });

  it("end at the most tokens that were asked for", async () => {
    const answer = await clientOf(network, await network.open()).chat.completions.create({
      model: TOY,
      messages: ASKED,
      temperature: 0,
      max_completion_tokens: 5,
    });
    expect(answer.choices[0]?.finish_reason).toBe("length");
    expect(answer.usage?.completion_tokens).toBe(5);
    expect(ANSWER).toContain(answer.choices[0]?.message.content);
  });

  it("repeat themselves under the same seed alone", async () => {
    const client = clientOf(network, await network.open());
    const say = async (seed: number) => {
      const messages = [{ role: "user" as const, content: "Tell me a story about a mill." }];
      const answer = await client.chat.completions.create({
        model: TOY,
        messages,
        temperature: 2,
        seed,
        max_tokens: 60,
      });
      return answer.choices[0]?.message.content;
    };
    const [first, again, other] = await Promise.all([say(7), say(7), say(8)]);
    expect(again).toBe(first);
    expect(other).not.toBe(first);
  });
});

describe.concurrent("errors", () => {
  it("say that a key is wrong", async () => {
    const { apiKey } = await network.open();
    const last = apiKey.at(-1) === "A" ? "B" : "A";
    for (const wrong of [`${apiKey.slice(0, -1)}${last}`, "sk-something-else"]) {
      const client = clientOf(network, { apiKey: wrong });
      const error = await errorOf(client.chat.completions.create({ model: TOY, messages: ASKED }));
      expect(error).toBeInstanceOf(AuthenticationError);
      expect(error).toMatchObject({ status: 401, code: "invalid_api_key", type: "authentication_error" });
    }
  });

  it("say that a model does not exist", async () => {
    const client = clientOf(network, await network.open());
    for (const call of [
      () => client.chat.completions.create({ model: "no-such-model", messages: ASKED }),
      () => client.models.retrieve("no-such-model"),
    ]) {
      const error = await errorOf(call());
      expect(error).toBeInstanceOf(NotFoundError);
      expect(error).toMatchObject({ status: 404, code: "model_not_found", param: "model" });
    }
  });

  it("name the parameter that is bad", async () => {
    const client = clientOf(network, await network.open());
    const bad = { model: TOY, messages: ASKED, temperature: 3 };
    const error = await errorOf(client.chat.completions.create(bad));
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ code: "invalid_request", param: "temperature" });
    const deep = await errorOf(client.chat.completions.create({ ...bad, messages: [{ role: "user" } as never] }));
    expect(deep).toMatchObject({ code: "invalid_request", param: "messages[0].content" });
  });

  it("name the parameter that no provider supports, and charge nothing", async () => {
    const account = await network.open();
    const tools = [{ type: "function" as const, function: { name: "weather", parameters: {} } }];
    const { result, paid, held } = await costing(network, account, () =>
      errorOf(clientOf(network, account).chat.completions.create({ model: TOY, messages: ASKED, tools })),
    );
    expect(result).toBeInstanceOf(BadRequestError);
    expect(result).toMatchObject({ code: "unsupported_parameter", param: "tools" });
    expect(apiErrorOf(result).message).toContain("supported_parameters");
    expect({ paid, held }).toEqual({ paid: 0, held: 0 });
  });

  it("say that a prompt does not fit, and charge nothing", async () => {
    const account = await network.open();
    const messages = [{ role: "user" as const, content: "What is a receipt, and who signs it? ".repeat(80) }];
    for (const stream of [false, true]) {
      const { requests, fetch } = counting();
      const { result, paid, held } = await costing(network, account, () =>
        errorOf(clientOf(network, account, { fetch }).chat.completions.create({ model: TOY, messages, stream })),
      );
      expect(result).toBeInstanceOf(BadRequestError);
      expect(result).toMatchObject({ code: "context_length_exceeded", param: "messages" });
      expect(requests).toHaveLength(1);
      expect({ paid, held }).toEqual({ paid: 0, held: 0 });
    }
  });

  it.for([false, true])("say what an empty account lacks, and what is free (stream: %s)", async (stream) => {
    const account = await network.open({ starter: false });
    const { requests, fetch } = counting();
    const client = clientOf(network, account, { fetch });
    const error = apiErrorOf(await errorOf(client.chat.completions.create({ model: TOY, messages: ASKED, stream })));
    expect(error).toMatchObject({
      status: 402,
      code: "below_minimum_balance",
      type: "insufficient_quota",
      param: null,
    });
    expect(error.message).toContain("local inference or a device of your own: both are free");
    expect(softStopOf(error)).toEqual({
      balance: "0.000",
      required: "5.000",
      shortfall: "5.000",
      unused_paid: "0.000",
      refresh_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT00:00:00Z$/),
      packages: [],
      x402: null,
    });
    expect(requests).toHaveLength(1);
  });

  it.for([false, true])("say what an account lacks for one request (stream: %s)", async (stream) => {
    const account = await network.open({ starter: false });
    await network.credit(account, "20.000");
    const { requests, fetch } = counting();
    const body = { model: TOY, messages: ASKED, max_tokens: 400, stream };
    const { result, paid, held } = await costing(network, account, () =>
      errorOf(clientOf(network, account, { fetch }).chat.completions.create(body)),
    );
    const required = 400 * 80 + (QUESTION.length + 16) * 20;
    const error = apiErrorOf(result);
    expect(error).toMatchObject({ status: 402, code: "insufficient_credits", type: "insufficient_quota" });
    const stop = softStopOf(error);
    expect(stop).toMatchObject({
      balance: "20.000",
      required: credits(required),
      shortfall: credits(required - 20_000),
      packages: [],
      x402: null,
    });
    expect(error.headers?.get("x-job-id")).toMatch(/^[0-9A-Za-z]{22}$/);
    expect(error.headers?.get("x-credits-remaining")).toBe("20.000");
    expect(error.headers?.get("x-credits-held")).toBe("0.000");
    expect(error.headers?.get("x-credits-refresh")).toBe(stop.refresh_at);
    // The client repeats by itself what may go better the second time; this does not.
    expect(requests).toHaveLength(1);
    expect({ paid, held }).toEqual({ paid: 0, held: 0 });
  });

  it("say it in a stream that has begun, with everything that the 402 says", async () => {
    const account = await network.open({ starter: false });
    const create = (options?: Parameters<typeof clientOf>[2]) =>
      clientOf(network, account, options).chat.completions.create({ model: TOY, messages: ASKED, stream: true });
    const plain = apiErrorOf(await errorOf(create()));
    // The network's own stream of an account that took ten seconds to answer, without the ten seconds.
    const refusal = { code: "below_minimum_balance", message: plain.message.replace(/^402 /, "") } as const;
    const head = { id: "chatcmpl-1", created: 1, model: TOY, choices: 1 };
    const event = errorEvent(head, { ...refusal, metadata: softStopOf(plain) });
    const { requests, fetch } = counting(() =>
      Promise.resolve(new Response(`: waiting\n\n${event}`, { headers: STREAM_HEADERS })),
    );
    const stream = await create({ fetch });
    const read = async () => {
      const chunks = [];
      for await (const chunk of stream) chunks.push(chunk);
      return chunks;
    };
    const error = apiErrorOf(await errorOf(read()));
    expect(error).toMatchObject({ code: "below_minimum_balance", type: "insufficient_quota" });
    expect(error.error).toEqual(plain.error);
    expect(requests).toHaveLength(1);
  });
});

/** What the error's metadata says, which has to have the whole shape and nothing else. */
function softStopOf(error: APIError) {
  return z.object({ metadata: softStop.strict() }).parse(error.error).metadata;
}
