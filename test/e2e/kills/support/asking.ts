/** Asking for an answer over a connection that may break. */

import type { TestAccount } from "../../support/network.ts";
import { chunksOf, textOf } from "../../support/sse.ts";
import { ANSWER, type Market, MODEL, type Prompt } from "./market.ts";

export interface Asked {
  /** 0 where the connection broke before the answer's headers. */
  readonly status: number;
  /** What came of the body. */
  readonly text: string;
  /** Whether the whole answer is there. */
  readonly complete: boolean;
}

export interface Question {
  readonly stream: boolean;
  readonly model?: string;
  readonly key?: string;
  readonly body?: object;
}

export function bodyOf(prompt: Prompt, { stream, model = MODEL.id, body = {} }: Question): object {
  return { model, messages: [{ role: "user", content: prompt }], stream, ...body };
}

/** Asks, and gives what came, however the connection ended. */
export async function ask(
  { network }: Market,
  { apiKey }: TestAccount,
  prompt: Prompt,
  question: Question,
): Promise<Asked> {
  let status = 0;
  let text = "";
  try {
    const response = await fetch(`${network.url}/v1/chat/completions`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${apiKey}`,
        "content-type": "application/json",
        ...(question.key === undefined ? {} : { "idempotency-key": question.key }),
      },
      body: JSON.stringify(bodyOf(prompt, question)),
    });
    ({ status } = response);
    const decoder = new TextDecoder();
    for await (const part of response.body ?? []) text += decoder.decode(part, { stream: true });
  } catch {
    return { status, text, complete: false };
  }
  return { status, text, complete: status === 200 && contentOf(text, question.stream) === ANSWER };
}

function contentOf(text: string, stream: boolean): string | undefined {
  if (stream) return text.endsWith("data: [DONE]\n\n") ? textOf(chunksOf(text)) : undefined;
  return (JSON.parse(text) as { choices: [{ message: { content: string } }] }).choices[0].message.content;
}
