import { Checkbox, PasswordInput, Select, Stack, Textarea, TextInput } from "@mantine/core";
import { fieldProblem } from "../../api/client";
import type { PartProps } from "./part";
import type { AuthKind } from "./values";

const KINDS: { value: AuthKind; label: string }[] = [
  { value: "none", label: "Signatures only" },
  { value: "bearer", label: "A bearer token" },
  { value: "basic", label: "Name and password (Basic)" },
  { value: "oauth2", label: "OAuth 2, client credentials" },
];

const SECRETS: Record<AuthKind, { label: string; field: string }> = {
  none: { label: "", field: "" },
  bearer: { label: "Token", field: "auth.token" },
  basic: { label: "Password", field: "auth.password" },
  oauth2: { label: "Client secret", field: "auth.client_secret" },
};

/** What shows the receiver who is asking. */
export function Authentication({ values, set, error }: PartProps) {
  const { label, field } = SECRETS[values.auth];
  const isSet = values.authSet === values.auth;
  return (
    <Stack gap="sm">
      <Select
        label="Authentication"
        description="What receivers ask for beside signatures."
        data={KINDS}
        value={values.auth}
        onChange={(chosen) => {
          set("auth", chosen ?? "none");
          set("authSecret", "");
        }}
        allowDeselect={false}
        error={fieldProblem(error, "auth.type")}
      />
      {values.auth === "basic" && (
        <TextInput label="User name" value={values.username} onChange={(event) => { set("username", event.currentTarget.value); }} error={fieldProblem(error, "auth.username")} autoComplete="off" spellCheck={false} />
      )}
      {values.auth === "oauth2" && <OAuth values={values} set={set} error={error} />}
      {values.auth !== "none" && (
        <PasswordInput
          label={label}
          required={!isSet}
          placeholder={isSet ? "Set; left empty, it stays" : ""}
          value={values.authSecret}
          onChange={(event) => { set("authSecret", event.currentTarget.value); }}
          error={fieldProblem(error, field)}
          autoComplete="new-password"
        />
      )}
      <Certificate values={values} set={set} error={error} />
    </Stack>
  );
}

function OAuth({ values, set, error }: PartProps) {
  const text = (name: "tokenUrl" | "clientId" | "scope" | "audience", label: string, field: string, required: boolean) => (
    <TextInput label={label} required={required} value={values[name]} onChange={(event) => { set(name, event.currentTarget.value); }} error={fieldProblem(error, `auth.${field}`)} autoComplete="off" spellCheck={false} />
  );
  return (
    <>
      {text("tokenUrl", "Token URL", "token_url", true)}
      {text("clientId", "Client id", "client_id", true)}
      {text("scope", "Scope", "scope", false)}
      {text("audience", "Audience", "audience", false)}
      <Checkbox label="Client id and secret in the body, not in the Authorization header" checked={values.inBody} onChange={(event) => { set("inBody", event.currentTarget.checked); }} />
    </>
  );
}

function Certificate({ values, set, error }: PartProps) {
  return (
    <>
      <Textarea
        label="Client certificate"
        description="For receivers with mutual TLS: in PEM, with what leads to its root. Empty: none."
        placeholder="-----BEGIN CERTIFICATE-----"
        autosize
        minRows={2}
        maxRows={8}
        value={values.certificate}
        onChange={(event) => { set("certificate", event.currentTarget.value); }}
        error={fieldProblem(error, "client_certificate.certificate")}
        spellCheck={false}
      />
      {values.certificate !== "" && (
        <Textarea
          label="Its private key"
          required={!values.privateKeySet}
          placeholder={values.privateKeySet ? "Set; left empty, it stays" : "-----BEGIN PRIVATE KEY-----"}
          autosize
          minRows={2}
          maxRows={8}
          value={values.privateKey}
          onChange={(event) => { set("privateKey", event.currentTarget.value); }}
          error={fieldProblem(error, "client_certificate.private_key")}
          spellCheck={false}
          autoComplete="off"
        />
      )}
    </>
  );
}
