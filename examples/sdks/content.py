from google import genai

client = genai.Client()
answer = client.models.generate_content(model="gemini-2.5-flash", contents="Hello")
print(answer.text)
