// A certified OpenID provider on this machine, to try signing in with; how: docs/operations.md. Not for production.
// Whoever signs in there, with any password, is the person of that e-mail address.
import { Provider } from "oidc-provider";

const port = Number(process.env.PROVIDER_PORT ?? 9400);
const clearance = process.env.CLEARANCE_URL ?? "http://127.0.0.1:8000";
const audience = "urn:clearance:api";

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "clearance",
      client_secret: "only-for-trying",
      token_endpoint_auth_method: "client_secret_post",
      redirect_uris: [`${clearance}/admin/login/provider/callback/`, `${clearance}/token-for-a-program`],
    },
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: id, email_verified: true, name: id.split("@")[0] }),
  }),
  features: {
    // Whoever asks with `resource=urn:clearance:api` gets an access token for the API.
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({
        audience,
        scope: "api",
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "RS256" } },
      }),
    },
  },
});

provider.listen(port, "127.0.0.1", () => {
  console.log(`OIDC_ISSUER=http://127.0.0.1:${port}`);
  console.log("OIDC_CLIENT_ID=clearance");
  console.log("OIDC_CLIENT_SECRET=only-for-trying");
  console.log(`OIDC_AUDIENCE=${audience}`);
});
