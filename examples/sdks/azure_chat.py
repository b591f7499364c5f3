from openai import AzureOpenAI

client = AzureOpenAI(api_version="2025-04-01-preview")
stream = client.chat.completions.create(
    model="team-chat",
    messages=[{"role": "user", "content": "Hello"}],
    stream=True,
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
