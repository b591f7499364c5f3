import { AzureOpenAI } from "openai";

const client = new AzureOpenAI({
  endpoint: process.env.AZURE_OPENAI_ENDPOINT,
  apiVersion: "2025-04-01-preview",
});
const answer = await client.chat.completions.create({
  model: "team-chat",
  messages: [{ role: "user", content: "Hello" }],
});
console.log(answer.choices[0].message.content);
