//! In a company's network: upstreams behind a proxy, with certificates of a private authority.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};

use crate::support::Server;

/// A name that nobody but the proxy can find.
const NAME: &str = "llm.corp.example";

/// The authority's own certificate, and a server's for [`NAME`] that it has signed.
fn authority() -> (String, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let settings = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (authority.pem(), TlsAcceptor::from(Arc::new(settings)))
}

/// Takes the encryption off and passes on.
async fn terminate(acceptor: TlsAcceptor, to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust us ends here.
                let Ok(mut inside) = acceptor.accept(socket).await else { return };
                let mut outside = TcpStream::connect(to).await.unwrap();
                let _ = copy_bidirectional(&mut inside, &mut outside).await;
            });
        }
    });
    address
}

/// A proxy that knows one name, and counts.
async fn proxy(to: SocketAddr) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&visits);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let visits = Arc::clone(&counted);
            tokio::spawn(async move {
                let mut socket = BufReader::new(socket);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    assert!(socket.read_line(&mut head).await.unwrap() > 0, "{head}");
                }
                assert!(head.starts_with(&format!("CONNECT {NAME}:443 ")), "{head}");
                visits.fetch_add(1, Ordering::SeqCst);
                socket.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                let mut outside = TcpStream::connect(to).await.unwrap();
                let _ = copy_bidirectional(&mut socket, &mut outside).await;
            });
        }
    });
    (url, visits)
}

#[tokio::test]
async fn a_proxy_and_a_private_authority_are_used_as_the_environment_says() {
    let mut server = Server::start().await;
    let llm = server.world.llm.url();
    let inside: SocketAddr = llm["http://".len()..].split('/').next().unwrap().parse().unwrap();
    let (trusted, acceptor) = authority();
    let (other, _) = authority();
    let (proxy, visits) = proxy(terminate(acceptor, inside).await).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.display().to_string()
    };
    server.set("OPENAI_BASE_URL", &format!("https://{NAME}/v1"));
    server.set("HTTPS_PROXY", &proxy);
    server.set("SSL_CERT_FILE", &file("trusted.pem", &trusted));
    let said = server.run(&["doctor"]).await.stdout;
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains(&format!("ok      LLM: {NAME} answers")), "{said}");
    assert_eq!(visits.load(Ordering::SeqCst), 1);
    // What is on this machine is reached without the proxy.
    assert!(said.contains("ok      Scalekit"), "{said}");

    server.set("SSL_CERT_FILE", &file("other.pem", &other));
    let said = String::from_utf8(server.run(&["doctor"]).await.stdout).unwrap();
    assert!(said.contains("BROKEN  LLM: The LLM did not answer as it should."), "{said}");
    assert!(said.contains("HTTPS_PROXY") && said.contains("SSL_CERT_FILE"), "{said}");
    assert_eq!(server.world.llm.prompts().len(), 1, "who is not trusted is told nothing");
}
