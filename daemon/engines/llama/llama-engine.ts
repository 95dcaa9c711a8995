/** Embedded llama.cpp (node-llama-cpp) with a GGUF file: no server, one process, its own chat template. */

import { randomInt } from "node:crypto";
import { open } from "node:fs/promises";
import { basename } from "node:path";
import type { ChatWrapper, Llama, LlamaContext, LlamaModel } from "node-llama-cpp";
import type { Feature } from "../../../protocol/daemon/messages.ts";
import { chatRequest } from "../../../protocol/openai/chat.ts";
import { EXIT, Failure, reasonOf } from "../../failure.ts";
import {
  type Engine,
  EngineError,
  type EngineEvent,
  type EngineModel,
  type EnginePiece,
  type EngineRequest,
  type FinishReason,
} from "../engine.ts";
import { quantizationOf } from "../served-models.ts";
import { generateChoice, type Sampling } from "./choice.ts";
import { mergeStreams } from "./merge.ts";
import { type Prompt, renderPrompt } from "./prompt.ts";
import { SequencePool } from "./sequence-pool.ts";
import { sampleOneByOne } from "./serial-sampling.ts";

export interface LlamaEngineOptions {
  readonly file: string;
  readonly gpu: "auto" | "off";
  /** Threads of the CPU; null lets the engine choose. */
  readonly threads: number | null;
  /** Tokens of context; null takes what the model was trained for, up to a bound. */
  readonly context: number | null;
  /** Answers that are generated at once. */
  readonly slots: number;
  /** What llama.cpp complains about: its own state, never what it is asked. */
  readonly onNote: (text: string) => void;
}

/** Memory for a context grows with its length, so a model's whole context is not taken unasked. */
const MOST_CONTEXT = 8_192;
/** A model this small is slower on many threads than on one: waking them takes longer than a token. */
const TOY_BYTES = 64 * 1024 * 1024;
/** "GGUF", and the newest version of the format that this engine reads. */
const GGUF_MAGIC = 0x47475546;
const NEWEST_GGUF = 3;
const FEATURES: readonly Feature[] = ["logprobs", "n", "seed", "stop", "temperature", "top_logprobs", "top_p"];
/** llama.cpp's own defaults, for requests that name none. */
const DEFAULTS = { temperature: 0.8, topP: 0.95, topK: 40 };

interface Loaded {
  readonly llama: Llama;
  readonly model: LlamaModel;
  readonly context: LlamaContext;
  readonly wrapper: ChatWrapper;
}

export class LlamaEngine implements Engine {
  readonly label: string;
  readonly slots: number;
  readonly countsExactly = true;
  readonly #loaded: Loaded;
  readonly #pool: SequencePool;

  private constructor(loaded: Loaded, slots: number) {
    this.#loaded = loaded;
    this.slots = slots;
    this.#pool = new SequencePool(Array.from({ length: slots }, () => loaded.context.getSequence()));
    this.label = `llama.cpp (embedded, ${loaded.llama.gpu === false ? "CPU" : loaded.llama.gpu})`;
  }

  /** Loads a model. Throws a {@link Failure} that says what is wrong with the file or the machine. */
  static async load(options: LlamaEngineOptions): Promise<LlamaEngine> {
    const size = await inspect(options.file);
    // The package is large, and no other command needs it.
    const { getLlama, JinjaTemplateChatWrapper, LlamaLogLevel, resolveChatWrapper } = await import("node-llama-cpp");
    const threads = options.threads ?? (size < TOY_BYTES ? 1 : null);
    try {
      const llama = await getLlama({
        gpu: options.gpu === "off" ? false : "auto",
        // Nothing is compiled or downloaded while a daemon starts.
        build: "never",
        logLevel: LlamaLogLevel.error,
        progressLogs: false,
        logger: (_level, message) => options.onNote(message.trim()),
        ...(threads === null ? {} : { maxThreads: threads }),
      });
      const model = await llama.loadModel({ modelPath: options.file });
      const contextSize = options.context ?? Math.min(model.trainContextSize, MOST_CONTEXT);
      const context = await model.createContext({
        contextSize,
        sequences: options.slots,
        ...(threads === null ? {} : { threads }),
      });
      sampleOneByOne(context);
      const template = model.fileInfo.metadata.tokenizer.chat_template;
      const wrapper =
        template === undefined
          ? resolveChatWrapper(model)
          : new JinjaTemplateChatWrapper({ template, tokenizer: model.tokenizer });
      return new LlamaEngine({ llama, model, context, wrapper }, options.slots);
    } catch (error) {
      throw new Failure(
        EXIT.broken,
        `${options.file} cannot be loaded: ${reasonOf(error)}. Check that it is a GGUF model; with little memory lower ` +
          "--context or --slots, and with a failing GPU give --gpu off.",
      );
    }
  }

  models(): Promise<readonly EngineModel[]> {
    const { model, context } = this.#loaded;
    const { name, file_type: fileType } = model.fileInfo.metadata.general;
    return Promise.resolve([
      {
        name: nameOf(name, model.filename),
        context: context.contextSize,
        quantization: fileTypeQuantization(fileType) ?? quantizationOf(model.filename ?? ""),
        loaded: true,
        features: FEATURES,
      },
    ]);
  }

  async *generate(request: EngineRequest, signal: AbortSignal): AsyncGenerator<EngineEvent, void, void> {
    const parsed = chatRequest.safeParse(request.body);
    if (!parsed.success) throw new EngineError("invalid_request", "The request is not a chat completion.");
    const { model, context, wrapper } = this.#loaded;
    const prompt = renderPrompt(parsed.data.messages, wrapper, model);
    const room = context.contextSize - prompt.tokens.length;
    if (room < 1) {
      throw new EngineError(
        "context_length_exceeded",
        `The prompt has ${prompt.tokens.length} tokens, and the model's context of ${context.contextSize} has to hold it and the answer.`,
      );
    }
    yield { type: "prompt", tokens: prompt.tokens.length };

    const { temperature, top_p: topP, seed, stop, logprobs, top_logprobs: top } = parsed.data;
    const firstSeed = seed ?? randomInt(2 ** 31);
    const finishReasons = Array.from({ length: request.choices }, (): FinishReason => "stop");
    let completion = 0;
    const choices = Array.from({ length: request.choices }, (_, choice) => {
      const sampling: Sampling = {
        temperature: temperature ?? DEFAULTS.temperature,
        topP: topP ?? DEFAULTS.topP,
        // A request that sets its own top_p wants that and nothing else to cut the candidates.
        topK: topP == null ? DEFAULTS.topK : 0,
        // Each choice has its own seed, else they would all be the same.
        seed: (firstSeed + choice) >>> 0,
        stops: stop == null ? [] : [stop].flat(),
        topLogprobs: logprobs === true ? (top ?? 0) : null,
        most: Math.min(request.completionCap, room),
      };
      return this.#choice(choice, prompt, sampling, signal, (reason) => (finishReasons[choice] = reason));
    });
    for await (const piece of mergeStreams(choices)) {
      completion += piece.tokens;
      yield piece;
    }
    yield { type: "end", finishReasons, usage: { prompt: prompt.tokens.length, completion } };
  }

  async close(): Promise<void> {
    await this.#loaded.llama.dispose();
  }

  async *#choice(
    choice: number,
    prompt: Prompt,
    sampling: Sampling,
    signal: AbortSignal,
    onEnd: (reason: FinishReason) => void,
  ): AsyncGenerator<EnginePiece, void, void> {
    const sequence = await this.#pool.take();
    try {
      if (signal.aborted) return;
      await sequence.clearHistory();
      onEnd(yield* generateChoice(choice, sequence, prompt, sampling, signal));
    } finally {
      this.#pool.give(sequence);
    }
  }
}

/** The size of a GGUF file in bytes. Throws a {@link Failure} for what is none; reading on in one could take forever. */
async function inspect(file: string): Promise<number> {
  const head = new DataView(new ArrayBuffer(8));
  let size = 0;
  try {
    const handle = await open(file);
    try {
      await handle.read(head, 0, 8, 0);
      size = (await handle.stat()).size;
    } finally {
      await handle.close();
    }
  } catch {
    throw new Failure(EXIT.usage, `--model ${file}: there is no such file. Give the path of a GGUF model.`);
  }
  const version = head.getUint32(4, true);
  if (head.getUint32(0) === GGUF_MAGIC && version >= 1 && version <= NEWEST_GGUF) return size;
  throw new Failure(EXIT.usage, `--model ${file}: this is no GGUF model. Give the path of a whole .gguf file.`);
}

/** The name in the file where it is a name that a catalog could have, else the file's own. */
function nameOf(general: string | undefined, filename: string | undefined): string {
  if (general !== undefined && /^[\w.-]+$/.test(general)) return general;
  return basename(filename ?? "model").replace(/(-\d{5}-of-\d{5})?\.gguf$/i, "");
}

/** llama.cpp's file types: 0 and 1 are f32 and f16, 32 is bf16, 7 is q8_0; the others have two to six bits. */
function fileTypeQuantization(type: number | undefined): "q4" | "q8" | "fp16" | null {
  if (type === undefined) return null;
  if (type === 0 || type === 1 || type === 32) return "fp16";
  return type === 7 ? "q8" : "q4";
}
