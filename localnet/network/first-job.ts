/** One real job through the whole network: asked, streamed, charged, and its receipt checked. */

import { EventSourceParserStream } from "eventsource-parser/stream";
import { z } from "zod";
import { signedReceipt, type Verification, verifyReceipt } from "../../protocol/receipt.ts";

const chunkShape = z.object({
  choices: z.array(z.object({ delta: z.object({ content: z.string().nullish() }) })),
  usage: z.object({ cost: z.string(), completion_tokens: z.number() }).nullish(),
  error: z.object({ message: z.string() }).optional(),
});

export interface FirstJob {
  readonly job: string;
  readonly cost: string;
  readonly tokens: number;
  readonly verification: Verification;
  readonly firstTokenMs: number;
}

/** Asks `question` and gives the answer's text to `write` as it comes. */
export async function runFirstJob(
  url: string,
  apiKey: string,
  model: string,
  question: string,
  write: (text: string) => void,
): Promise<FirstJob> {
  const startedAt = performance.now();
  let firstTokenMs = 0;
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
    body: JSON.stringify({
      model,
      messages: [{ role: "user", content: question }],
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  if (!response.ok || response.body === null) {
    throw new Error(`The first job was refused with ${response.status}: ${await response.text()}`);
  }
  const job = response.headers.get("x-job-id") ?? "";
  let usage: { cost: string; completion_tokens: number } | null = null;
  const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  for await (const { data } of events) {
    if (data === "[DONE]") break;
    const chunk = chunkShape.parse(JSON.parse(data));
    if (chunk.error !== undefined) throw new Error(`The first job failed: ${chunk.error.message}`);
    const text = chunk.choices[0]?.delta.content ?? "";
    if (text !== "" && firstTokenMs === 0) firstTokenMs = performance.now() - startedAt;
    write(text);
    usage = chunk.usage ?? usage;
  }
  if (usage === null) throw new Error("The first job's stream ended without its usage.");
  return {
    job,
    cost: usage.cost,
    tokens: usage.completion_tokens,
    verification: await verify(url, apiKey, job),
    firstTokenMs,
  };
}

const keysShape = z.object({ keys: z.array(z.object({ key: z.string(), current: z.boolean() })) });

async function verify(url: string, apiKey: string, job: string): Promise<Verification> {
  const headers = { authorization: `Bearer ${apiKey}` };
  const receipt = signedReceipt.parse(await (await fetch(`${url}/api/v1/receipts/${job}`, { headers })).json());
  const { keys } = keysShape.parse(await (await fetch(`${url}/api/v1/log/keys`)).json());
  return verifyReceipt(receipt, keys.find((key) => key.current)?.key);
}
