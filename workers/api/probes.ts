/** Requests with known answers, which daemons in quarantine are probed with (economics.md §9). */

import { createRoute, z } from "@hono/zod-openapi";
import { type Refusal, refuse } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Parameters } from "../../core/parameters.ts";
import { canonicalText, hashText } from "../../core/receipt/canonical.ts";
import { getModel } from "../../db/catalog.ts";
import { listProbes, type ProbeRow, putProbe, removeProbe } from "../../db/probes.ts";
import { emit } from "../../durable-objects/shared/events.ts";
import { type CatalogModel, modelId } from "../../protocol/catalog.ts";
import { refuseIssues } from "../../protocol/errors.ts";
import { hash } from "../../protocol/ids.ts";
import { timeText } from "../../protocol/network/common.ts";
import { probeList, probe as probeShape, recordProbe } from "../../protocol/network/probes.ts";
import { type ChatRequest, chatRequest, engineRequest } from "../../protocol/openai/chat.ts";
import { configOf } from "../config.ts";
import { prepareChat, type Result } from "../gateway/prepare.ts";
import { problem } from "../http.ts";
import { answers, byAdmin, byAdminWithJson, named, newApi, problems, takes } from "./app.ts";

const probe = named("Probe", probeShape);
const params = z.object({ id: modelId });
const tags = ["Operations"];

const getProbes = createRoute({
  method: "get",
  path: "/admin/models/{id}/probes",
  tags,
  summary: "A model's known answers",
  description: "The requests that daemons of the model are probed with, and the answers that are right.",
  ...byAdmin,
  request: { params },
  responses: { 200: answers(probeList.extend({ data: z.array(probe) }), "All of them, oldest first."), ...problems },
});

const postProbe = createRoute({
  method: "post",
  path: "/admin/models/{id}/probes",
  tags,
  summary: "Record a known answer",
  description:
    "A daemon in quarantine is given such requests as if they were a user's, and passes with an answer that begins with one " +
    "of these texts. The same request again replaces its answers.",
  ...byAdminWithJson,
  request: { params, body: takes(recordProbe) },
  responses: { 200: answers(probe, "The request as daemons get it, with its answers."), ...problems },
});

const deleteProbe = createRoute({
  method: "delete",
  path: "/admin/models/{id}/probes/{probe}",
  tags,
  summary: "Forget a known answer",
  description: "Daemons are not given this request any more.",
  ...byAdmin,
  request: { params: z.object({ id: modelId, probe: hash }) },
  responses: { 200: answers(probeList.extend({ data: z.array(probe) }), "Those that are left."), ...problems },
});

export const probes = newApi();

probes.openapi(getProbes, async (c) => {
  const { id } = c.req.valid("param");
  return c.json({ data: (await listProbes(c.env.DB, id)).map(shown) }, 200);
});

probes.openapi(postProbe, async (c) => {
  const model = await getModel(c.env.DB, c.req.valid("param").id);
  if (model === null) return problem(c, refuse("model_not_found"));
  const { request, answers: known } = c.req.valid("json");
  const asked = askedOf(request, model, configOf(c.env).parameters);
  if (!asked.ok) return problem(c, asked.refusal);
  const row: ProbeRow = {
    model: model.id,
    id: hashText(canonicalText(asked.value)),
    request: asked.value,
    answers: known,
    created_at: Date.now(),
  };
  if (!(await putProbe(c.env.DB, row))) {
    const detail = `A model has at most ${LIMITS.probesOfModel} of them. Forget one first.`;
    return problem(c, refuse("invalid_request", { detail }));
  }
  emit("probe_recorded", { model: model.id, probe: row.id, operator: c.var.operator, request_id: c.var.requestId });
  return c.json(shown(row), 200);
});

probes.openapi(deleteProbe, async (c) => {
  const { id, probe: which } = c.req.valid("param");
  if (!(await removeProbe(c.env.DB, id, which))) return problem(c, refuse("probe_not_found"));
  emit("probe_forgotten", { model: id, probe: which, operator: c.var.operator, request_id: c.var.requestId });
  return c.json({ data: (await listProbes(c.env.DB, id)).map(shown) }, 200);
});

/** A request as daemons get it. One whose answer cannot be known beforehand is refused. */
function askedOf(
  request: Record<string, unknown>,
  model: CatalogModel,
  parameters: Parameters,
): Result<Record<string, unknown>> {
  const parsed = chatRequest.safeParse({ ...request, model: model.id });
  if (!parsed.success) return wrong(refuseIssues(parsed.error));
  const prepared = prepareChat(parsed.data, model, parameters, null, null);
  if (!prepared.ok) return wrong(prepared.refusal);
  const { max_completion_tokens: cap } = parsed.data;
  const param = unknowable(parsed.data);
  if (param !== null) {
    return wrong(refuse("invalid_request", { detail: "A known answer is one greedy text.", param }));
  }
  if (cap == null) return wrong(refuse("invalid_request", { param: "max_completion_tokens" }));
  return { ok: true, value: engineRequest(parsed.data, model.id, cap) };
}

/** The parameter for which nobody can say what the answer is to be, or null. */
function unknowable({ temperature, n, logprobs, tools, response_format: format }: ChatRequest): string | null {
  if (temperature !== 0) return "temperature";
  if (n != null && n !== 1) return "n";
  if (logprobs === true) return "logprobs";
  if (tools !== undefined) return "tools";
  return format === undefined ? null : "response_format";
}

function wrong(refusal: Refusal): { ok: false; refusal: Refusal } {
  const { param } = refusal;
  return { ok: false, refusal: { ...refusal, ...(param === undefined ? {} : { param: `request.${param}` }) } };
}

function shown({ id, request, answers: known, created_at }: ProbeRow): z.infer<typeof probeShape> {
  return { id, request, answers: known, created_at: timeText(created_at) };
}
