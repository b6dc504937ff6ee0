import { PasswordInput } from "@mantine/core";
import { fieldProblem } from "../../api/client";

/** Asked for again, before anything that somebody at an open desk must not do. */
export function CurrentPassword({ value, onChange, error }: { value: string; onChange: (password: string) => void; error: unknown }) {
  return (
    <PasswordInput
      label="Current password"
      autoComplete="current-password"
      required
      value={value}
      onChange={(event) => { onChange(event.currentTarget.value); }}
      error={fieldProblem(error, "current_password")}
    />
  );
}

/** Whether a change was refused because the password is wrong. */
export function isWrong(error: unknown): boolean {
  return fieldProblem(error, "current_password") !== undefined;
}
