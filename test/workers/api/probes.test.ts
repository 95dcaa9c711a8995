import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { putModel } from "../../../db/catalog.ts";
import { putProbe } from "../../../db/probes.ts";
import { testModel } from "../../support/models.ts";
import { ADMIN, call } from "./support.ts";

const PATH = "/api/v1/admin/models/test-model/probes";
const request = {
  messages: [{ role: "user", content: "What is two and two?" }],
  temperature: 0,
  max_completion_tokens: 8,
};
const record = (body: object, path = PATH) => call(path, { key: ADMIN, body });
const list = async () => (await call(PATH, { key: ADMIN })).json.data;

it("keeps a request with its answers as daemons get it, once, and forgets it", async () => {
  await putModel(env.DB, testModel());
  const first = await record({ request: { ...request, user: "me", stream: true }, answers: ["Four."] });
  expect(first.status).toBe(200);
  expect(first.json).toMatchObject({ request: { ...request, model: "test-model" }, answers: ["Four."] });
  expect(first.json.request).not.toHaveProperty("user");
  // What daemons do not see makes no other request of it.
  const again = await record({ request, answers: ["Four.", "It is four."] });
  expect(again.json.id).toBe(first.json.id);
  expect(await list()).toEqual([{ ...first.json, answers: ["Four.", "It is four."] }]);
  const forget = () => call(`${PATH}/${first.json.id}`, { method: "DELETE", key: ADMIN });
  expect((await forget()).json).toEqual({ data: [] });
  expect((await forget()).json).toMatchObject({ status: 404, code: "probe_not_found" });
});

it.each([
  ["a draw", { temperature: 0.5 }, "request.temperature"],
  ["the default temperature", { temperature: undefined }, "request.temperature"],
  ["several choices", { n: 2 }, "request.n"],
  ["log probabilities", { logprobs: true }, "request.logprobs"],
  ["a form", { response_format: { type: "json_object" } }, "request.response_format"],
  ["no bound", { max_completion_tokens: undefined }, "request.max_completion_tokens"],
  ["more than the model completes", { max_completion_tokens: 1e6 }, "request.max_completion_tokens"],
  ["no messages", { messages: [] }, "request.messages"],
])("refuses a request with %s, whose answer nobody could know", async (_, changes, param) => {
  await putModel(env.DB, testModel());
  const { status, json } = await record({ request: { ...request, ...changes }, answers: ["Four."] });
  expect([status, json.code, json.param]).toEqual([400, "invalid_request", param]);
  expect(await list()).toEqual([]);
});

it("refuses an answer that could be guessed, a model that is not there, and more than it may have", async () => {
  await putModel(env.DB, testModel());
  expect((await record({ request, answers: ["4"] })).json).toMatchObject({ status: 400, param: "answers[0]" });
  expect((await record({ request, answers: [] })).json).toMatchObject({ status: 400, param: "answers" });
  const other = await record({ request, answers: ["Four."] }, "/api/v1/admin/models/other/probes");
  expect(other.json).toMatchObject({ status: 404, code: "model_not_found" });
  for (let id = 0; id < LIMITS.probesOfModel; id++) {
    await putProbe(env.DB, { model: "test-model", id: `${id}`, request: {}, answers: ["Four."], created_at: id });
  }
  expect((await record({ request, answers: ["Four."] })).json).toMatchObject({ status: 400, code: "invalid_request" });
});
