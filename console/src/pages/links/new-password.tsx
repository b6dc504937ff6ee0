import { PasswordInput } from "@mantine/core";
import { fieldProblem } from "../../api/client";

interface NewPasswordProps {
  value: string;
  onChange: (password: string) => void;
  error: unknown;
}

/** The fewest characters of a password; the server checks it too. */
export const PASSWORD_MIN = 12;

export function NewPassword({ value, onChange, error }: NewPasswordProps) {
  return (
    <PasswordInput
      label="Password"
      description={`At least ${PASSWORD_MIN} characters. A sentence is easy to remember and hard to guess.`}
      autoComplete="new-password"
      minLength={PASSWORD_MIN}
      required
      value={value}
      onChange={(event) => { onChange(event.currentTarget.value); }}
      error={fieldProblem(error, "password")}
    />
  );
}
