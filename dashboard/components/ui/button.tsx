import { clsx } from "clsx";
import type { ButtonHTMLAttributes } from "react";

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: "plain" | "primary" | "ghost" | "danger";
  size?: "small" | "normal" | "large";
  /** A button with only an icon needs an `aria-label`. */
  icon?: boolean;
}

const LOOKS = { plain: "", primary: "p", ghost: "g", danger: "d" };
const SIZES = { small: "sm", normal: "", large: "lg" };

export function buttonClass({ look = "plain", size = "normal", icon = false }: Pick<ButtonProps, "look" | "size" | "icon">): string {
  return clsx("btn", LOOKS[look], SIZES[size], icon && "ic");
}

export function Button({ look = "plain", size = "normal", icon = false, className, type = "button", ...rest }: ButtonProps) {
  return <button type={type} className={clsx(buttonClass({ look, size, icon }), className)} {...rest} />;
}
