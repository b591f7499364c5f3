import { RegisterPage } from "@/features/register/register-page";

export default function Page() {
  return <RegisterPage />;
}
