// OpenAI's package for Node.js, as its guide to fine-tuning uses it.
import fs from "node:fs";
import { setTimeout } from "node:timers/promises";

import OpenAI from "openai";

const MODEL = "gpt-4o-mini-2024-07-18";
const QUESTION = { role: "user", content: "Which tea is for the morning?" };

const all = async (pages, take) => {
  const found = [];
  for await (const each of pages) found.push(take(each));
  return found;
};
const id = (each) => each.id;

const client = new OpenAI({ timeout: 60_000 });

const file = await client.files.create({ file: fs.createReadStream(process.argv[2]), purpose: "fine-tune" });
await client.files.waitForProcessing(file.id, { pollInterval: 500, maxWait: 60_000 });

let job = await client.fineTuning.jobs.create({
  model: MODEL,
  training_file: file.id,
  method: { type: "supervised", supervised: { hyperparameters: { n_epochs: 20 } } },
  suffix: "peers",
});
while (!["succeeded", "failed", "cancelled"].includes(job.status)) {
  await setTimeout(1000);
  job = await client.fineTuning.jobs.retrieve(job.id);
}
if (job.status !== "succeeded") throw new Error(`${job.id} is ${job.status}: ${JSON.stringify(job.error)}`);

const asked = { model: job.fine_tuned_model, messages: [QUESTION], temperature: 0, max_tokens: 20 };
const reply = await client.chat.completions.create(asked);
const chunks = await client.chat.completions.create({ ...asked, stream: true });
const results = await client.files.content(job.result_files[0]);

const seen = {
  job: job.id,
  status: job.status,
  model: job.fine_tuned_model,
  events: await all(client.fineTuning.jobs.listEvents(job.id, { limit: 2 }), id),
  checkpoints: await all(client.fineTuning.jobs.checkpoints.list(job.id), id),
  results: await results.text(),
  answer: reply.choices[0].message.content,
  streamed: (await all(chunks, (chunk) => chunk.choices[0]?.delta?.content ?? "")).join(""),
  jobs: await all(client.fineTuning.jobs.list(), id),
  files: await all(client.files.list(), id),
  models: await all(client.models.list(), id),
  file: file.id,
  deleted: [(await client.files.delete(file.id)).deleted, (await client.models.delete(job.fine_tuned_model)).deleted],
};
console.log(JSON.stringify(seen));
