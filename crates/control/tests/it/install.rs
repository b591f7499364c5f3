use crate::client::get;
use crate::world::World;

#[tokio::test]
async fn the_script_is_rendered_for_each_agent_and_asks_for_no_credential() {
    let world = World::start().await;
    world.configure(|snapshot| {
        snapshot.public_url.proxy = Some("https://llm.example.com".to_owned());
        "It's us".clone_into(&mut snapshot.brand.name);
    });
    for (agent, says) in [("codex", "wire_api = \"responses\""), ("claude", "ANTHROPIC_BASE_URL")] {
        let answer = get(world.address, &format!("/install.sh?agent={agent}"), &[]).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["content-type"], "text/x-shellscript; charset=utf-8");
        assert!(answer.body.starts_with("#!/bin/sh\n") && answer.body.ends_with("\nmain \"$@\"\n"));
        assert!(
            answer.body.contains("\nbase='https://llm.example.com'\nname_")
                || answer.body.contains("base='https://llm.example.com'")
        );
        assert!(answer.body.contains(r"name='It'\''s us'") && answer.body.contains(says), "{agent}");
        assert!(!answer.body.contains('@') || !answer.body.contains("@NAME"), "{agent}");
    }
}

#[tokio::test]
async fn an_agent_that_there_is_not_is_refused_with_the_list() {
    let world = World::start().await;
    for query in ["", "?agent=", "?agent=cursor", "?agent=codex%27", "?agent=Codex"] {
        let answer = get(world.address, &format!("/install.sh{query}"), &[]).await;
        let message = answer.refuses(400, "bad_request");
        assert!(message.contains("?agent=codex or ?agent=claude"), "{query}: {message}");
    }
    for query in ["?agent=codex&agent=claude", "?agent=codex&x=1"] {
        get(world.address, &format!("/install.sh{query}"), &[]).await.refuses(400, "bad_request");
    }
    world.configure(|snapshot| snapshot.ai = None);
    get(world.address, "/install.sh?agent=codex", &[]).await.refuses(404, "not_found");
}
